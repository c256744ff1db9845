import { CommanderError } from "commander";
import { isHowdahError, type HowdahErrorCode } from "../errors.ts";
import { sqlStateOf } from "../postgres/sqlstate.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { logLine } from "../runtime/log-line.ts";
import { Verdict } from "./verdict.ts";

/** The output and exit code of a failed command. */
export interface DescribedFailure {
  /** For stderr; empty when there is nothing to add. */
  readonly text: string;
  readonly exitCode: number;
}

/** Something went wrong. */
const FAILED = 1;
/** The command line is wrong. */
const MISUSED = 2;

/** What to do, for errors whose message does not say it. */
const ADVICE: { readonly [Code in HowdahErrorCode]?: string } = {
  HOWDAH_DATABASE_UNREACHABLE: "Is PostgreSQL running there? Check --database-url or DATABASE_URL.",
  HOWDAH_CONNECTION_LOST: "It is unknown whether the command took effect: check before running it again.",
  HOWDAH_QUERY_TIMEOUT: "The database is busy or blocked; run the command again later.",
};

/** Codes without advice when the server has answered, because its own message is better. */
const ADVICE_WITHOUT_ANSWER: ReadonlySet<HowdahErrorCode> = new Set(["HOWDAH_DATABASE_UNREACHABLE"]);

/** The options of the library that have another name here. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
  connectionString: "--database-url",
  schema: "--schema",
  task: "--task",
  identifier: "Task",
  queueName: "--queue",
  jobKey: "--key",
  after: "--after",
  sweepThreshold: "--threshold",
  until: "--until",
  since: "--since",
  error: "--error",
  payload: "--payload",
  runAt: "--run-at",
  runIn: "--run-in",
  maxAttempts: "--max-attempts",
  jobKeyMode: "--key-mode",
  timeout: "--timeout",
  flags: "--flags",
  keepTasks: "--keep-tasks",
};

/**
 * Describes an error in one line without a stack trace: its code, what was
 * found and what to do. With `HOWDAH_LOG=debug` the stack follows.
 */
export function describeFailure(error: unknown, environment: NodeJS.ProcessEnv): DescribedFailure {
  if (error instanceof CommanderError) return describeMisuse(error);
  if (error instanceof Verdict) return { text: "", exitCode: error.exitCode };
  const exitCode = isMisuse(error) ? MISUSED : FAILED;
  const line = `howdah: ${codeOf(error)}${oneLine(withoutPasswords(withAdvice(error)))}`;
  const stack = environment["HOWDAH_LOG"] === "debug" && error instanceof Error ? `\n${stackOf(error)}` : "";
  return { text: line + withoutPasswords(stack), exitCode };
}

/** Its stack trace, and the one of its cause: that of a module with a mistake names the line. */
function stackOf({ stack, cause }: Error): string {
  return cause instanceof Error ? `${stack}\n${cause.stack}` : `${stack}`;
}

/** The example URL in our own messages. */
const EXAMPLE = "postgresql://user:password@host:5432/database";

/**
 * Removes passwords from the URLs in a text: the part before the last `@` and
 * the parameters are replaced. A password may contain any character, so a URL
 * ends at the end of the word.
 */
function withoutPasswords(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)([^\s"'`]*)/gi, (found, scheme: string, rest: string) => {
    if (found.startsWith(EXAMPLE)) return found;
    const [, visible = "", query] =
      /^([^?#]*)(.*)$/.exec(rest.includes("@") ? rest.replace(/^.*@/, "***@") : rest) ?? [];
    return `${scheme}${visible}${query === "" ? "" : "?***"}`;
  });
}

/** Removes quoted input that may contain a password: a URL, or the value of an option. */
function withoutValues(text: string): string {
  return text.replace(/'([^'=]*)=.*'/s, "'$1'").replace(/'.*:\/\/.*'/s, "'a URL'");
}

/** Help and version also arrive as errors. */
function describeMisuse(error: CommanderError): DescribedFailure {
  if (error.exitCode === 0) return { text: "", exitCode: 0 };
  if (error.code === "commander.help") return { text: "", exitCode: MISUSED };
  const said = withoutValues(error.message)
    .replace(/^error: /, "")
    .replace(/\n?\((Did you mean .+\?)\)$/s, ". $1");
  const code: HowdahErrorCode = error.code.startsWith("commander.unknown")
    ? "HOWDAH_OPTION_UNKNOWN"
    : "HOWDAH_OPTION_INVALID";
  const [, name = ""] = /^unknown command '(\w+)'/.exec(said) ?? [];
  if (Object.hasOwn(NOT_COMMANDS, name)) {
    const why = `There is no command '${name}'; ${NOT_COMMANDS[name]}`;
    return { text: `howdah: ${code}: ${why} See howdah --help.`, exitCode: MISUSED };
  }
  const { command } = error as { readonly command?: string };
  const help = command === undefined ? "howdah --help" : `howdah ${command} --help`;
  const text = said.charAt(0).toUpperCase() + said.slice(1);
  return { text: `howdah: ${code}: ${oneLine(ended(text))} See ${help}.`, exitCode: MISUSED };
}

const WORK = "jobs are run by `howdah work`, or in your program by `await (await createWorker({ tasks })).run()`.";

/** Names that are often tried and are not commands, with the right way. */
const NOT_COMMANDS: Readonly<Record<string, string>> = {
  run: WORK,
  start: WORK,
  worker: `${WORK} \`howdah workers\` lists them.`,
  requeue: "failed jobs run again with `howdah retry`.",
  delete: "jobs are deleted with `howdah remove`.",
  sweep: "the jobs of silent workers are recovered with `howdah workers --sweep`.",
  pause: "pause with `howdah queues pause NAME` or `howdah tasks pause NAME`.",
  resume: "resume with `howdah queues resume NAME` or `howdah tasks resume NAME`.",
};

/** Phrases of the library's messages, and their equivalents for the command line. */
const WORDS: readonly (readonly [string, string])[] = [
  [", or set `migrate: true`", ""],
  [": migrate it.", ": run `howdah migrate` with the role that owns it."],
  [
    "set `preparedStatements: false`, and give a worker a `listenConnectionString` that leads past the pooler.",
    "give --database-url one that leads past the pooler.",
  ],
  ["schedules.list() returns those there are", "`howdah schedules list` shows those there are"],
];

/** Where the command line can be wrong; a job is described by its options. */
const MISUSES: readonly HowdahErrorCode[] = ["HOWDAH_OPTION_INVALID", "HOWDAH_OPTION_UNKNOWN", "HOWDAH_JOB_INVALID"];

function isMisuse(error: unknown): boolean {
  return MISUSES.some((code) => isHowdahError(error, code));
}

function withAdvice(error: unknown): string {
  if (!isHowdahError(error)) return ended(errorMessage(error));
  const said = WORDS.reduce((text, [ours, theirs]) => text.replace(ours, theirs), error.message);
  const message = ended(said)
    .replace(/(?:\w+ o|O)ption `(\w+)`/g, (found, name: string) =>
      OPTION_NAMES[name] ? `Option ${OPTION_NAMES[name]}` : found,
    )
    .replace(/^`(\w+)` of /, (found, name: string) => (OPTION_NAMES[name] ? `${OPTION_NAMES[name]} of ` : found));
  const isAnswered = ADVICE_WITHOUT_ANSWER.has(error.code) && sqlStateOf(error) !== undefined;
  const advice = isAnswered ? undefined : ADVICE[error.code];
  return advice ? `${message} ${advice}` : message;
}

/** Howdah's code, or the one of PostgreSQL or of the operating system. */
function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as Error & { code?: unknown }).code : undefined;
  return typeof code === "string" ? `${code}: ` : "";
}

function ended(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

function oneLine(text: string): string {
  return logLine(text, undefined);
}
