use serde_json::{Value, json};
use std::io::BufRead;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The messages that the benchmark sends, one JSON text a line of the standard input.
pub struct Channel {
    inbox: UnboundedReceiver<Value>,
}

impl Channel {
    pub fn open() -> Self {
        let (sender, inbox) = unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                let message: Value = serde_json::from_str(&line).expect("a line is a JSON text");
                if sender.send(message["value"].clone()).is_err() {
                    break;
                }
            }
        });
        Self { inbox }
    }

    /// The next message; "stop" when the benchmark has gone.
    pub async fn next(&mut self) -> Value {
        self.inbox
            .recv()
            .await
            .unwrap_or_else(|| Value::from("stop"))
    }
}

/// Sends to the benchmark: a "message", a "result" or an "error".
pub fn send(kind: &str, value: Value) {
    println!("{}", json!({ "kind": kind, "value": value }));
}
