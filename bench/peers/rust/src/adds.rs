use crate::channel::{self, Channel};
use crate::machine::monotonic_ms;
use crate::worker::connect;
use crate::{Answer, SCHEMA, TASK};
use chrono::{DateTime, Utc};
use graphile_worker::{JobSpec, RawJobSpec, WorkerUtils};
use serde_json::{Value, json};
use sqlx::postgres::PgListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Creates what the side needs, and adds jobs, as it is told.
pub async fn serve(input: Value, channel: &mut Channel) -> Answer {
    let utils = WorkerUtils::new(connect(&input, 2).await?, SCHEMA);
    loop {
        let message = channel.next().await;
        if message == "stop" {
            return Ok(Value::Null);
        }
        match message["jobs"].as_array() {
            Some(jobs) => {
                let jobs: Vec<RawJobSpec> = jobs.iter().map(job_of).collect();
                utils.add_raw_jobs(&jobs).await?;
            }
            None => utils.migrate().await?,
        }
        channel::send("message", Value::Null);
    }
}

/// Adds one job for each message, and says when it began to.
pub async fn add_ones(input: Value, channel: &mut Channel) -> Answer {
    let utils = WorkerUtils::new(connect(&input, 1).await?, SCHEMA);
    channel::send("message", json!({ "isReady": true }));
    loop {
        let message = channel.next().await;
        if message == "stop" {
            return Ok(Value::Null);
        }
        let n = message["n"].clone();
        let added_at = monotonic_ms();
        utils
            .add_raw_job(TASK, json!({ "n": n }), JobSpec::default())
            .await?;
        channel::send("message", json!({ "n": n, "addedAt": added_at }));
    }
}

/// As many producers as connections, each adding one job after another, while others listen.
pub async fn time_adds(input: Value) -> Answer {
    let connections = input["connections"]
        .as_u64()
        .ok_or("connections is missing")?;
    let duration_ms = input["durationMs"]
        .as_f64()
        .ok_or("durationMs is missing")?;
    let utils = WorkerUtils::new(connect(&input, connections as u32).await?, SCHEMA);
    utils.migrate().await?;
    listen(&input).await?;
    let utils = Arc::new(utils);
    // The first ones connect and prepare.
    produce(&utils, connections, monotonic_ms()).await?;
    let started_at = monotonic_ms();
    let added = produce(&utils, connections, started_at + duration_ms).await?;
    Ok(json!({ "value": added as f64 / (monotonic_ms() - started_at) * 1000.0 }))
}

/// Lets producers add until a time, each at least once; resolves with how many jobs they added.
async fn produce(
    utils: &Arc<WorkerUtils>,
    producers: u64,
    until: f64,
) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let added = Arc::new(AtomicU64::new(0));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..producers {
        let (utils, added) = (utils.clone(), added.clone());
        running.spawn(async move {
            loop {
                let payload = json!({ "n": added.load(Relaxed) });
                utils.add_raw_job(TASK, payload, JobSpec::default()).await?;
                added.fetch_add(1, Relaxed);
                if monotonic_ms() >= until {
                    return Ok::<(), graphile_worker::errors::GraphileWorkerError>(());
                }
            }
        });
    }
    while let Some(result) = running.join_next().await {
        result??;
    }
    Ok(added.load(Relaxed))
}

async fn listen(input: &Value) -> Result<(), sqlx::Error> {
    let url = input["connectionString"].as_str().unwrap_or_default();
    for _ in 0..4 {
        let mut listener = PgListener::connect(url).await?;
        listener.listen("jobs:insert").await?;
        tokio::spawn(async move { while listener.recv().await.is_ok() {} });
    }
    Ok(())
}

/// Adds many jobs in one call, several times after a first one: the median of the jobs per second.
pub async fn time_bulk_adds(input: Value) -> Answer {
    let size = input["size"].as_u64().ok_or("size is missing")?;
    let utils = WorkerUtils::new(connect(&input, 2).await?, SCHEMA);
    utils.migrate().await?;
    let text = "x".repeat(40);
    let payload = |n| json!({ "payload": { "n": n, "text": text } });
    let jobs: Vec<RawJobSpec> = (0..size).map(|n| job_of(&payload(n))).collect();
    utils.add_raw_jobs(&jobs).await?;
    let mut rates = Vec::new();
    for _ in 0..input["calls"].as_u64().unwrap_or(5) {
        let started_at = monotonic_ms();
        utils.add_raw_jobs(&jobs).await?;
        rates.push(size as f64 / (monotonic_ms() - started_at) * 1000.0);
    }
    rates.sort_by(f64::total_cmp);
    Ok(json!({ "value": (rates[(rates.len() - 1) / 2] + rates[rates.len() / 2]) / 2.0 }))
}

fn job_of(job: &Value) -> RawJobSpec {
    let run_at = job["runAt"].as_str().map(|text| {
        let parsed = DateTime::parse_from_rfc3339(text).expect("runAt is a time");
        parsed.with_timezone(&Utc)
    });
    RawJobSpec {
        identifier: TASK.to_owned(),
        payload: job["payload"].clone(),
        spec: JobSpec {
            queue_name: job["queue"].as_str().map(str::to_owned),
            priority: job["priority"].as_i64().map(|priority| priority as i16),
            run_at,
            ..JobSpec::default()
        },
    }
}
