import { isHowdahError } from "../errors.ts";

/** The SQLSTATE of an error of any client library, or of what caused it; `undefined` when the server said nothing. */
export function sqlStateOf(error: unknown): string | undefined {
  return serverError(error)?.code;
}

/** True when the same statement may succeed later without a change by an operator. */
export function isTransient(error: unknown): boolean {
  if (isNotSent(error) || isConnectionLoss(error)) return true;
  const state = sqlStateOf(error);
  return state === undefined ? hasCode(error, NEVER_CONNECTED_CODES) : verdictOf(state).transient === true;
}

/**
 * True unless it is certain that the statement was not carried out: the
 * connection ended or time ran out after it was sent, or the error is of an
 * unknown kind.
 */
export function isUnknownOutcome(error: unknown): boolean {
  if (isConnectionLoss(error)) return true;
  return !isHowdahError(error) && sqlStateOf(error) === undefined && !hasCode(error, NEVER_CONNECTED_CODES);
}

/** True when the connection ended, or time ran out, after the statement was sent. */
export function isConnectionLoss(error: unknown): boolean {
  if (isNotSent(error)) return false;
  if (isHowdahError(error, "HOWDAH_CONNECTION_LOST") || isHowdahError(error, "HOWDAH_QUERY_TIMEOUT")) return true;
  const said = serverError(error);
  if (!said) return hasCode(error, CONNECTION_CODES) || hasConnectionMessage(error);
  return verdictOf(said.code).unknown === true || isPanic(said);
}

/** True when the server has said that it did not carry out the statement. */
export function isRefused(error: unknown): boolean {
  const said = serverError(error);
  return said !== undefined && verdictOf(said.code).unknown !== true && !isPanic(said);
}

/** True when the session must not be used again: it has ended, or leads to a server that cannot do what is asked. */
export function isSessionOver(error: unknown): boolean {
  const state = sqlStateOf(error);
  return isConnectionLoss(error) || (state !== undefined && verdictOf(state).over === true);
}

/** True when another transaction held what the statement needs: the wait for it timed out, or would have closed a circle. */
export function isLocked(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state !== undefined && verdictOf(state).locked === true;
}

/** True when it may be the connection and not the statement that is at fault: another one may do better. */
export function isConnectionSuspect(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state !== undefined && verdictOf(state).connection === true;
}

/**
 * True when the server refused a statement in a way in which it also refuses one
 * whose plan the session has kept from before a table or function changed.
 */
export function isStalePlan(error: unknown): boolean {
  const said = serverError(error);
  if (!said) return false;
  const { stale } = verdictOf(said.code);
  return stale === true || (stale !== undefined && stale === said.routine);
}

/** True when a prepared statement would now answer with columns of other types. */
export function isChangedResult(error: unknown): boolean {
  return sqlStateOf(error) === "0A000" && isStalePlan(error);
}

/** What was thrown and what caused it, as far as these are objects. */
export function causesOf(error: unknown): object[] {
  const links: object[] = [];
  for (let link = error; typeof link === "object" && link !== null && links.length < MAX_CAUSES;) {
    links.push(link);
    link = (link as { cause?: unknown }).cause;
  }
  return links;
}

/** What follows from a SQLSTATE. */
interface Verdict {
  /** The same statement may succeed later without a change by an operator. */
  readonly transient?: true;
  /** The statement may have been carried out all the same. */
  readonly unknown?: true;
  /** The session is over, or no good: the next statement needs another connection. */
  readonly over?: true;
  /** Another transaction holds what the statement needs. */
  readonly locked?: true;
  /** The connection may be at fault, by its role or by what was left open on it. */
  readonly connection?: true;
  /**
   * The session may have planned the statement for objects that have changed
   * since; with a name, if this routine of the server says so.
   */
  readonly stale?: true | string;
}

/**
 * The only place that knows what SQLSTATEs mean for the sender of a statement.
 * A whole class counts for the states of it that are not named.
 */
const VERDICTS: Readonly<Record<string, Verdict>> = {
  // What is not supported, as a trigger may say as well, or "cached plan must not change result type".
  "0A000": { stale: "RevalidateCachedQuery" },
  // The connection failed, says the server or a pooler in between (PgBouncer: 08P01) …
  "08": { transient: true, unknown: true, over: true },
  // … but it never came about (08001), or was turned away (08004).
  "08001": { transient: true, over: true },
  "08004": { transient: true, over: true },
  // Something is left over from another use of the connection.
  "25": { connection: true },
  // The server is a standby, or a primary that no longer is one: another connection may lead to the new one.
  "25006": { transient: true, over: true },
  // An open transaction idled, or took, for too long: rolled back, and the session ended.
  "25P03": { transient: true, over: true },
  "25P04": { transient: true, over: true },
  // A prepared statement is not there, is there already: a pooler has changed the session beneath us.
  "26000": { transient: true, over: true },
  "42P05": { transient: true, over: true },
  // What a statement names is not there, or is not of the type that it was: 42703, 42704, 42804, 42883, 42P01 …
  "42": { stale: true },
  // Serialization failure, deadlock: rolled back …
  "40": { transient: true },
  "40001": { transient: true, locked: true },
  "40P01": { transient: true, locked: true },
  // … but here the server itself does not know.
  "40003": { transient: true, unknown: true, over: true },
  // No right, no such table or function: perhaps only for the role or the server of this connection.
  "42501": { connection: true },
  "42883": { connection: true, stale: true },
  "42P01": { connection: true, stale: true },
  // Lack of connections, memory, disk.
  "53": { transient: true },
  "55P03": { transient: true, locked: true },
  // A statement timed out or was cancelled: rolled back.
  "57014": { transient: true },
  // The session was ended by an administrator, a crash, or for the database that is to be dropped.
  "57P01": { transient: true, unknown: true, over: true },
  "57P02": { transient: true, unknown: true, over: true },
  "57P04": { unknown: true, over: true },
  // The server is starting or shutting down; a session idled for too long. Nothing was begun.
  "57P03": { transient: true, over: true },
  "57P05": { transient: true, over: true },
  // Trouble of the operating system.
  "58": { transient: true },
  // "tuple concurrently updated", "cache lookup failed" and the like.
  XX000: { transient: true, stale: true },
};

function verdictOf(state: string): Verdict {
  return VERDICTS[state] ?? VERDICTS[state.slice(0, 2)] ?? {};
}

/** Where the server's own trouble may end in a PANIC, which says nothing about the commit that was under way. */
const PANIC_CLASSES = new Set(["53", "58", "XX"]);

/** The word for a mere error depends on the language of the server: one that is not known is taken for a PANIC. */
function isPanic({ code, severity }: ServerError): boolean {
  return PANIC_CLASSES.has(code.slice(0, 2)) && severity !== undefined && !["ERROR", "FATAL"].includes(severity);
}

interface ServerError {
  readonly code: string;
  readonly severity: string | undefined;
  /** Where in the server it was raised. */
  readonly routine: string | undefined;
}

function serverError(error: unknown): ServerError | undefined {
  for (const link of causesOf(error)) {
    // System errors have codes too, and some (EPIPE) look like a SQLSTATE.
    const isSystemError = "syscall" in link || typeof (link as { errno?: unknown }).errno === "number";
    const { code, severity, routine } = link as { code?: unknown; severity?: unknown; routine?: unknown };
    // Those of Prisma, P2010 for instance, look like one as well; the server has P0001 to P0004.
    if (isSystemError || typeof code !== "string" || !/^(?!P[1-9])[0-9A-Z]{5}$/.test(code)) continue;
    return { code, severity: textOf(severity), routine: textOf(routine) };
  }
  return undefined;
}

function textOf(field: unknown): string | undefined {
  return typeof field === "string" ? field : undefined;
}

/** True when there was no connection to send anything on. */
function isNotSent(error: unknown): boolean {
  return isHowdahError(error, "HOWDAH_DATABASE_UNREACHABLE") || isHowdahError(error, "HOWDAH_CONNECTIONS_EXHAUSTED");
}

/** Codes of Node.js and of client libraries that only occur before anything was sent. */
const NEVER_CONNECTED_CODES = new Set(
  "ECONNREFUSED EHOSTDOWN EADDRNOTAVAIL ENOTFOUND EAI_AGAIN ENOENT CONNECT_TIMEOUT".split(" "),
);

/** Those of a connection that may have been lost while a statement was under way. */
const CONNECTION_CODES = new Set(
  "ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH ENETUNREACH ENETDOWN ENETRESET CONNECTION_CLOSED CONNECTION_ENDED CONNECTION_DESTROYED".split(
    " ",
  ),
);

function hasCode(error: unknown, codes: ReadonlySet<string>): boolean {
  return causesOf(error).some((link) => codes.has(String((link as { code?: unknown }).code)));
}

/** `pg` has no codes for these. */
const CONNECTION_MESSAGES = /^Connection terminated|^Client .* is not queryable$|^Query read timeout$/;

function hasConnectionMessage(error: unknown): boolean {
  return causesOf(error).some((link) => CONNECTION_MESSAGES.test(String((link as { message?: unknown }).message)));
}

/** How far `cause` is followed; wrappers of database libraries are one or two deep. */
const MAX_CAUSES = 5;
