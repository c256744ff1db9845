use crate::{Answer, Call};
use graphile_worker::{IntoTaskHandlerResult, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A job that takes its time, and fails when it is told to.
#[derive(Deserialize, Serialize)]
struct Payload {
    n: i64,
    #[serde(default)]
    ms: u64,
    #[serde(default)]
    fails: bool,
}

impl TaskHandler for Payload {
    const IDENTIFIER: &'static str = "t";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let started = micros();
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        let line = json!({
            "ran": self.n, "id": context.job().id().to_string(), "attempts": context.job().attempts(),
            "started": started, "ended": micros(),
        });
        println!("{line}");
        if self.fails { Err("told to fail".to_string()) } else { Ok(()) }
    }
}

/// Microseconds since 1970, as other processes of this machine count them.
fn micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}

/// One worker that prints a line for each job, until its standard input ends.
pub async fn work(call: Call) -> Answer {
    let mut options = WorkerOptions::default()
        .schema(call.schema)
        .concurrency(call.input["concurrency"].as_u64().unwrap_or(4) as usize)
        .poll_interval(Duration::from_millis(200))
        .heartbeat_interval(Duration::from_millis(500))
        .sweep_interval(Duration::from_millis(500))
        .sweep_threshold(Duration::from_secs(3))
        .listen_os_shutdown_signals(false)
        .pg_pool(call.pool)
        .define_job::<Payload>();
    if let Some(size) = call.input["localQueue"].as_u64() {
        options = options.local_queue(LocalQueueConfig::default().with_size(size as usize));
    }
    let worker = Arc::new(options.init().await?);
    println!("{}", json!({ "worker": worker.worker_id() }));
    let running = worker.clone();
    let run = tokio::spawn(async move { running.run().await });
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    worker.request_shutdown();
    run.await??;
    Ok(json!({ "stopped": true }))
}
