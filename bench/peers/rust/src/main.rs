//! graphile_worker_rs as a side of the benchmark: a program that makes the calls of bench/peers/program.mjs.

mod adds;
mod channel;
mod machine;
mod tally;
mod worker;

use channel::Channel;
use serde_json::Value;

/// What a call gives back, or why it could not.
pub type Answer = Result<Value, Box<dyn std::error::Error + Send + Sync>>;

/// The task that all jobs of the benchmark are of.
pub const TASK: &str = "noop";
pub const SCHEMA: &str = "graphile_worker";

#[tokio::main]
async fn main() {
    let call = std::env::args().nth(1).unwrap_or_default();
    let mut channel = Channel::open();
    let input = channel.next().await;
    match answer(&call, input, &mut channel).await {
        Ok(value) => channel::send("result", value),
        Err(error) => channel::send("error", Value::from(error.to_string())),
    }
    // Whatever a worker still has to do at its end is not waited for.
    std::process::exit(0);
}

async fn answer(call: &str, input: Value, channel: &mut Channel) -> Answer {
    match call {
        "serve" => adds::serve(input, channel).await,
        "addOnes" => adds::add_ones(input, channel).await,
        "timeAdds" => adds::time_adds(input).await,
        "timeBulkAdds" => adds::time_bulk_adds(input).await,
        "work" => worker::work(input, channel).await,
        "watchStarts" => worker::watch_starts(input, channel).await,
        _ => Err(format!("There is no call {call:?}.").into()),
    }
}
