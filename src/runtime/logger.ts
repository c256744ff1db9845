/** How serious a log line is, most serious first. */
export type LogLevel = "error" | "warning" | "info" | "debug";

/** Details beside a message. Never holds payloads or credentials. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where a worker or client says what it does. Any logger fits behind these four methods. */
export interface Logger {
  /** Something failed and somebody should look. */
  error(message: string, fields?: LogFields): void;
  /** Something is not as it should be, and goes on. */
  warning(message: string, fields?: LogFields): void;
  /** A worker starts or stops. */
  info(message: string, fields?: LogFields): void;
  /** Everything else. */
  debug(message: string, fields?: LogFields): void;
}
