use crate::{Answer, Call};
use graphile_worker::worker_utils::types::{CleanupTask, RescheduleJobOptions};
use graphile_worker::{JobSpec, SweepStaleWorkersOptions, WorkerUtils};
use serde_json::{Value, json};
use std::time::Duration;

/// What `WorkerUtils` has for operators and for those who add jobs.
pub async fn manage(name: &str, call: Call) -> Answer {
    let Call { pool, schema, input } = call;
    let utils = WorkerUtils::new(pool, schema);
    match name {
        "migrate" => utils.migrate().await.map(|()| Value::Null).map_err(Into::into),
        "add" => add(&utils, &input).await,
        "remove" => utils.remove_job(text(&input)).await.map(|()| Value::Null).map_err(Into::into),
        "complete" => Ok(json!(utils.complete_jobs(&ids(&input)).await?.len())),
        "fail" => Ok(json!(utils.permanently_fail_jobs(&ids(&input), "given up").await?.len())),
        "reschedule" => {
            let options = RescheduleJobOptions { priority: Some(-5), attempts: Some(0), ..Default::default() };
            Ok(json!(utils.reschedule_jobs(&ids(&input), options).await?.len()))
        }
        "unlock" => utils.force_unlock_workers(&[text(&input)]).await.map(|()| Value::Null).map_err(Into::into),
        "workers" => workers(&utils).await,
        "sweep" => {
            let options = SweepStaleWorkersOptions { sweep_threshold: Some(Duration::from_secs(3)), ..Default::default() };
            let swept = utils.sweep_stale_workers(options).await?;
            Ok(json!({ "workers": swept.worker_ids, "jobs": swept.recovered_count }))
        }
        "cleanup" => {
            let tasks = [
                CleanupTask::DeletePermanentlyFailedJobs,
                CleanupTask::GcTaskIdentifiers,
                CleanupTask::GcJobQueues,
            ];
            utils.cleanup(&tasks).await.map(|()| Value::Null).map_err(Into::into)
        }
        _ => Err(format!("There is no call {name:?}.").into()),
    }
}

/// Adds a job for each `{ payload, queue?, key?, maxAttempts? }`; answers their ids.
async fn add(utils: &WorkerUtils, input: &Value) -> Answer {
    let mut added = Vec::new();
    for job in input.as_array().ok_or("an array of jobs is needed")? {
        let mut spec = JobSpec::new();
        spec.queue_name = job["queue"].as_str().map(str::to_string);
        spec.job_key = job["key"].as_str().map(str::to_string);
        spec.max_attempts = job["maxAttempts"].as_i64().map(|count| count as i16);
        let stored = utils.add_raw_job("t", job["payload"].clone(), spec).await?;
        added.push(stored.id().to_string());
    }
    Ok(json!(added))
}

async fn workers(utils: &WorkerUtils) -> Answer {
    let rows = utils.list_active_workers(Duration::from_secs(30)).await?;
    Ok(rows.iter().map(|row| json!({ "id": row.worker_id, "isStale": row.is_stale })).collect())
}

fn ids(input: &Value) -> Vec<i64> {
    let numbers = input.as_array().map_or(&[][..], Vec::as_slice);
    numbers.iter().filter_map(|id| id.as_str()?.parse().ok()).collect()
}

fn text(input: &Value) -> &str {
    input.as_str().unwrap_or_default()
}
