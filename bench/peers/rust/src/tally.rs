use crate::machine::{cpu_us, max_rss_mb, monotonic_ms, rss_mb};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// What a job carries; see bench/measure/jobs.mjs.
#[derive(Serialize, Deserialize)]
pub struct Payload {
    n: u64,
    /// The number of its queue.
    q: Option<u64>,
    /// How long its handler takes.
    ms: Option<u64>,
    /// Whether its first attempt fails.
    fails: Option<bool>,
    /// When it is due, in milliseconds after the start of the drain.
    due: Option<f64>,
}

/// Counts what the handlers do, as bench/measure/tally.mjs does.
pub struct Tally {
    handler: String,
    /// Of the monotonic clock, when the time of jobs that are due later begins.
    base: f64,
    marks: Vec<u64>,
    ran: AtomicU64,
    first: OnceLock<(f64, f64)>,
    next_mark: AtomicUsize,
    notes: Mutex<Vec<Value>>,
    running: Mutex<HashMap<u64, u32>>,
    most_at_once: AtomicU32,
    failed: Mutex<HashSet<u64>>,
    lags: Mutex<Vec<f64>>,
}

impl Tally {
    pub fn new(input: &Value, base: f64) -> Self {
        let marks = input["marks"].as_array().cloned().unwrap_or_default();
        Self {
            handler: input["handler"].as_str().unwrap_or("count").to_owned(),
            base,
            marks: marks.iter().filter_map(Value::as_u64).collect(),
            ran: AtomicU64::new(0),
            first: OnceLock::new(),
            next_mark: AtomicUsize::new(0),
            notes: Mutex::default(),
            running: Mutex::default(),
            most_at_once: AtomicU32::new(0),
            failed: Mutex::default(),
            lags: Mutex::default(),
        }
    }

    /// The handler of every job.
    pub async fn run(&self, job: Payload) -> Result<(), String> {
        match self.handler.as_str() {
            "watched" => {
                self.enter(job.q);
                tokio::task::yield_now().await;
                self.leave(job.q);
            }
            "mixed" => self.run_mixed(&job).await?,
            "starts" => crate::channel::send(
                "message",
                json!({ "n": job.n, "startedAt": monotonic_ms() }),
            ),
            _ => {}
        }
        self.count();
        Ok(())
    }

    async fn run_mixed(&self, job: &Payload) -> Result<(), String> {
        self.first.get_or_init(|| (monotonic_ms(), cpu_us()));
        if let Some(due) = job.due {
            let lag = monotonic_ms() - self.base - due;
            self.lags.lock().unwrap().push(lag);
        }
        self.enter(job.q);
        tokio::time::sleep(Duration::from_millis(job.ms.unwrap_or(0))).await;
        self.leave(job.q);
        if job.fails == Some(true) && self.failed.lock().unwrap().insert(job.n) {
            return Err("This attempt fails.".to_owned());
        }
        Ok(())
    }

    fn enter(&self, queue: Option<u64>) {
        let Some(queue) = queue else { return };
        let mut running = self.running.lock().unwrap();
        let at_once = running.entry(queue).or_insert(0);
        *at_once += 1;
        self.most_at_once.fetch_max(*at_once, Relaxed);
    }

    fn leave(&self, queue: Option<u64>) {
        let Some(queue) = queue else { return };
        if let Some(at_once) = self.running.lock().unwrap().get_mut(&queue) {
            *at_once -= 1;
        }
    }

    fn count(&self) {
        let (first_at, _) = *self.first.get_or_init(|| (monotonic_ms(), cpu_us()));
        let ran = self.ran.fetch_add(1, Relaxed) + 1;
        if self.marks.get(self.next_mark.load(Relaxed)) != Some(&ran) {
            return;
        }
        self.next_mark.fetch_add(1, Relaxed);
        let note = json!({ "ran": ran, "at": monotonic_ms() - first_at, "rssMb": rss_mb() });
        self.notes.lock().unwrap().push(note);
    }

    /// How far it has come.
    pub fn state(&self) -> Value {
        json!({
            "isReady": true,
            "ran": self.ran.load(Relaxed),
            "firstAt": self.first.get().map(|(at, _)| at),
            "at": monotonic_ms(),
        })
    }

    pub fn result(&self) -> Value {
        let cpu = self
            .first
            .get()
            .map_or(0.0, |(_, before)| cpu_us() - before);
        json!({
            "ran": self.ran.load(Relaxed),
            "firstAt": self.first.get().map(|(at, _)| at),
            "cpuUs": cpu,
            "maxRssMb": max_rss_mb(),
            "marks": *self.notes.lock().unwrap(),
            "mostAtOnce": self.most_at_once.load(Relaxed),
            "failed": self.failed.lock().unwrap().len(),
            "lags": *self.lags.lock().unwrap(),
        })
    }
}
