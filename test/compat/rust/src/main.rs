//! graphile_worker_rs as its users call it: `program CALL CONNECTION SCHEMA JSON`. Prints JSON, one text a line, and
//! ends with 1 and the error when the call fails.

mod manage;
mod work;

use serde_json::Value;
use sqlx::postgres::{PgPool, PgPoolOptions};

/// What a call gives back, or why it could not.
pub type Answer = Result<Value, Box<dyn std::error::Error + Send + Sync>>;

/// Where a call is made, and what it is told.
pub struct Call {
    pub pool: PgPool,
    pub schema: String,
    pub input: Value,
}

#[tokio::main]
async fn main() {
    match answer().await {
        Ok(value) => println!("{value}"),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}

async fn answer() -> Answer {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, connection, schema, input] = words.as_slice() else {
        return Err("Four words are needed: CALL CONNECTION SCHEMA JSON.".into());
    };
    let call = Call {
        pool: PgPoolOptions::new().max_connections(10).connect(connection).await?,
        schema: schema.clone(),
        input: serde_json::from_str(input)?,
    };
    match name.as_str() {
        "work" => work::work(call).await,
        _ => manage::manage(name, call).await,
    }
}
