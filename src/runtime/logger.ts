import colors from "picocolors";
import { HowdahError } from "../errors.ts";
import { systemClock, type Clock } from "./clock.ts";
import { describeValue } from "./describe-value.ts";
import { jsonLine } from "./json-line.ts";
import { logLine } from "./log-line.ts";
import { outliveReader } from "./outlive-reader.ts";

/**
 * Where a worker or client logs. `console`, winston, pino and Fastify's logger
 * can be used directly; for loggers that take the fields first, such as pino
 * and bunyan, the two arguments are swapped.
 */
export interface Logger {
  /** A failure that needs attention. */
  error(message: string, fields?: LogFields): void;
  /** An unexpected state; the worker goes on. */
  warn(message: string, fields?: LogFields): void;
  /** A worker starts or stops. */
  info(message: string, fields?: LogFields): void;
  /** Everything else. */
  debug(message: string, fields?: LogFields): void;
}

/** How serious a log line is, most serious first. */
export type LogLevel = "error" | "warn" | "info" | "debug";

/** Details of a message. They never contain payloads or credentials. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The least serious level that is logged, or `silent` for none. */
export type LogThreshold = LogLevel | "silent";

/** The target of log lines, such as `process.stderr`. */
export interface LogStream {
  /** Takes a line, with its line end. */
  write(text: string): unknown;
  /** Called with a listener, so that a closed stream does not end the process. */
  on?(event: "error", listener: (error: Error) => void): unknown;
  readonly isTTY?: boolean | undefined;
}

/** How a line is written: `text` for people, `json` for what collects the logs of containers. */
export type LogFormat = "text" | "json";

/** Options of {@link consoleLogger}. */
export interface ConsoleLoggerOptions {
  /** Default: the environment variable `HOWDAH_LOG`, or else `"info"`. */
  readonly level?: LogThreshold | undefined;
  /** Default: the environment variable `HOWDAH_LOG_FORMAT`, or else `"text"`. */
  readonly format?: LogFormat | undefined;
  /** Default: stderr. Coloured when it is a terminal and `NO_COLOR` is not set. */
  readonly stream?: LogStream | undefined;
  readonly clock?: Pick<Clock, "now"> | undefined;
}

const THRESHOLDS: readonly LogThreshold[] = ["silent", "error", "warn", "info", "debug"];

const FORMATS: readonly LogFormat[] = ["text", "json"];

/**
 * The default logger, with one line for each message. As text it has the time
 * and the fields as `key=value`; as JSON it is an object with `time` (ISO
 * 8601), `level`, `name`, `msg` and the fields. Throws `HOWDAH_OPTION_INVALID`
 * for an unknown level or format, also when it comes from `HOWDAH_LOG` or
 * `HOWDAH_LOG_FORMAT`.
 */
export function consoleLogger(options: ConsoleLoggerOptions = {}): Logger {
  const { clock = systemClock } = options;
  const stream: LogStream = outliveReader(options.stream ?? process.stderr);
  const paint = colors.createColors(stream.isTTY === true && colors.isColorSupported);
  const level = readChoice(options.level, { name: "level", variable: "HOWDAH_LOG", allowed: THRESHOLDS }) ?? "info";
  const format =
    readChoice(options.format, { name: "format", variable: "HOWDAH_LOG_FORMAT", allowed: FORMATS }) ?? "text";
  const last = THRESHOLDS.indexOf(level);

  function at(level: LogLevel, tint: (text: string) => string): Logger[LogLevel] {
    if (THRESHOLDS.indexOf(level) > last) return () => undefined;
    const time = () => new Date(clock.now()).toISOString();
    if (format === "json") {
      return (msg, fields) => {
        stream.write(`${jsonLine({ time: time(), level, msg, fields })}\n`);
      };
    }
    return (message, fields) => {
      stream.write(`${time()} howdah ${tint(level)} ${logLine(message, fields)}\n`);
    };
  }

  return {
    error: at("error", paint.red),
    warn: at("warn", paint.yellow),
    info: at("info", paint.green),
    debug: at("debug", paint.dim),
  };
}

/** An option of the logger that the environment can give, too. */
interface Choice<T extends string> {
  readonly name: string;
  readonly variable: string;
  readonly allowed: readonly T[];
}

/** `undefined` when it is given neither by the option nor by the environment. */
function readChoice<T extends string>(given: T | undefined, { name, variable, allowed }: Choice<T>): T | undefined {
  const found = given ?? (process.env[variable] || undefined);
  const choice = allowed.find((known) => known === found);
  if (choice !== undefined || found === undefined) return choice;
  const source = given === undefined ? `The environment variable ${variable}` : `The ${name} of a logger`;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${source} must be one of ${allowed.join(", ")}, found ${describeValue(found)}.`,
  );
}

/** Logs nothing. */
export const silentLogger: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
};

/** The same logger with `fields` on every line; the fields of a line take precedence. */
export function scoped(logger: Logger, fields: LogFields): Logger {
  return {
    error: (message, more) => logger.error(message, { ...fields, ...more }),
    warn: (message, more) => logger.warn(message, { ...fields, ...more }),
    info: (message, more) => logger.info(message, { ...fields, ...more }),
    debug: (message, more) => logger.debug(message, { ...fields, ...more }),
  };
}
