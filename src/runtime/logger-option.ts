import { HowdahError } from "../errors.ts";
import { consoleLogger, type LogFields, type Logger, type LogLevel } from "./logger.ts";
import { invalidOption, isOptionsObject, optionLabel, type Option, type OptionPlace } from "./options.ts";

const METHODS: readonly LogLevel[] = ["error", "warn", "info", "debug"];

/**
 * The option `logger`, adapted: its order of arguments does not matter, and an
 * error while it writes a line is ignored. Default: `consoleLogger()`.
 */
export const LOGGER: Option<Logger> = {
  suffix: "",
  read: (given, place) => toLogger(given === undefined ? consoleLogger() : readLogger(given, place)),
};

/** The methods of a logger, before it is known which argument goes first. */
interface ForeignLogger {
  error(...args: unknown[]): void;
  warn(...args: unknown[]): void;
  info(...args: unknown[]): void;
  debug(...args: unknown[]): void;
}

function readLogger(given: unknown, place: OptionPlace): ForeignLogger {
  const needed = "an object with the methods error(), warn(), info() and debug(), as console, pino and winston are";
  if (!isOptionsObject(given)) throw invalidOption(place, `must be ${needed}`, given);
  const has = (name: string) => typeof (given as Record<string, unknown>)[name] === "function";
  const missing = METHODS.filter((name) => !has(name));
  if (missing.length === 0) return given as ForeignLogger;
  const old = missing.includes("warn") && has("warning") ? "; its warning() is not called, name it warn()" : "";
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${optionLabel(place)} must be ${needed}: ${missing.map((name) => `${name}()`).join(" and ")} missing${old}.`,
  );
}

function toLogger(foreign: ForeignLogger): Logger {
  const fieldsFirst = takesFieldsFirst(foreign);
  const at =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void => {
      try {
        // Called on its logger: pino and winston need their `this`. Without
        // fields the argument is left out, or console would print it.
        if (fields === undefined) foreign[level](message);
        else if (fieldsFirst) foreign[level](fields, message);
        else foreign[level](message, fields);
      } catch {
        // There is no other place to report it.
      }
    };
  return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
}

/** The mark that every pino logger and its children carry, across copies of the package. */
const PINO = Symbol.for("pino.serializers");

/** True for pino (so for Fastify's logger) and bunyan, which lose fields that come after the message. */
function takesFieldsFirst(foreign: object): boolean {
  const { child, addStream } = foreign as Readonly<Record<string, unknown>>;
  return PINO in foreign || (typeof child === "function" && typeof addStream === "function");
}
