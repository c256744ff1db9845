use crate::channel::{self, Channel};
use crate::machine::monotonic_ms;
use crate::tally::{Payload, Tally};
use crate::{Answer, SCHEMA, TASK};
use graphile_worker::{
    IntoTaskHandlerResult, LocalQueueConfig, TaskHandler, Worker, WorkerContext, WorkerOptions,
};
use serde_json::Value;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

static TALLY: OnceLock<Tally> = OnceLock::new();

const REPORT: Duration = Duration::from_millis(10);
const LOOK: Duration = Duration::from_millis(2);

impl TaskHandler for Payload {
    const IDENTIFIER: &'static str = TASK;

    async fn run(self, _context: WorkerContext) -> impl IntoTaskHandlerResult {
        TALLY
            .get()
            .expect("the tally is there before the worker")
            .run(self)
            .await
    }
}

/// One worker; reports its count until it is told to stop.
pub async fn work(input: Value, channel: &mut Channel) -> Answer {
    let observer = connect(&input, 1).await?;
    let state = serde_json::json!({ "isReady": true, "ran": 0 });
    channel::send("message", state);
    let start = channel.next().await;
    let tally = TALLY.get_or_init(|| Tally::new(&input, start["base"].as_f64().unwrap_or(0.0)));
    let worker = start_worker(&input).await?;
    let mut ticks = tokio::time::interval(REPORT);
    let mut is_released = false;
    loop {
        tokio::select! {
            message = channel.next() => {
                if message == "stop" {
                    break;
                }
                is_released = true;
                let left = input["leftSql"].as_str().ok_or("leftSql is missing")?;
                let mut state = tally.state();
                state["releasedAt"] = Value::from(until_released(&observer, left).await?);
                channel::send("message", state);
            }
            _ = ticks.tick(), if !is_released => channel::send("message", tally.state()),
        }
    }
    let result = tally.result();
    worker.request_shutdown();
    Ok(result)
}

/// One worker that says when it starts each job.
pub async fn watch_starts(input: Value, channel: &mut Channel) -> Answer {
    let mut input = input;
    input["handler"] = Value::from("starts");
    TALLY.get_or_init(|| Tally::new(&input, 0.0));
    let worker = start_worker(&input).await?;
    channel::send("message", serde_json::json!({ "isReady": true }));
    while channel.next().await != "stop" {}
    worker.request_shutdown();
    Ok(Value::Null)
}

/// A pool of this size on the database of the cell.
pub async fn connect(
    input: &Value,
    size: u32,
) -> Result<PgPool, Box<dyn std::error::Error + Send + Sync>> {
    let url = input["connectionString"]
        .as_str()
        .ok_or("connectionString is missing")?;
    Ok(PgPoolOptions::new()
        .max_connections(size)
        .connect(url)
        .await?)
}

async fn start_worker(
    input: &Value,
) -> Result<Arc<Worker>, Box<dyn std::error::Error + Send + Sync>> {
    let options = &input["options"];
    let pool = connect(input, options["poolSize"].as_u64().unwrap_or(20) as u32).await?;
    let worker = Arc::new(worker_options(options).pg_pool(pool).init().await?);
    let running = worker.clone();
    tokio::spawn(async move {
        if let Err(error) = running.run().await {
            channel::send("error", Value::from(error.to_string()));
        }
    });
    Ok(worker)
}

/// The options as the adapter writes them; what it leaves out is the default.
fn worker_options(options: &Value) -> WorkerOptions {
    let milliseconds = |key: &str| options[key].as_u64().map(Duration::from_millis);
    let mut made = WorkerOptions::default()
        .schema(SCHEMA)
        .define_job::<Payload>();
    if let Some(count) = options["concurrency"].as_u64() {
        made = made.concurrency(count as usize);
    }
    if let Some(interval) = milliseconds("pollIntervalMs") {
        made = made.poll_interval(interval);
    }
    if let Some(delay) = milliseconds("batchDelayMs") {
        made = made
            .complete_job_batch_delay(delay)
            .fail_job_batch_delay(delay);
    }
    if let Some(size) = options["localQueue"]["size"].as_u64() {
        let count = options["localQueue"]["queueCount"].as_u64().unwrap_or(1);
        let config = LocalQueueConfig::default().with_size(size as usize);
        made = made.local_queue(config.with_queue_count(count as usize));
    }
    made
}

/// The time at which no job is left to run or to release.
async fn until_released(
    observer: &PgPool,
    left: &str,
) -> Result<f64, Box<dyn std::error::Error + Send + Sync>> {
    loop {
        let text = sqlx::AssertSqlSafe(left);
        let count: i32 = sqlx::query_scalar(text).fetch_one(observer).await?;
        if count == 0 {
            return Ok(monotonic_ms());
        }
        tokio::time::sleep(LOOK).await;
    }
}
