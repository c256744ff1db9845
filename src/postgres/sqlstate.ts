import { isHowdahError } from "../errors.ts";

/** How far `cause` is followed; wrappers of database libraries are one or two deep. */
const MAX_CAUSES = 5;

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

/** `pg` has no codes for these. */
const CONNECTION_MESSAGES = /^Connection terminated|^Client .* is not queryable$/;

/** Connection errors, rollbacks to be repeated, lack of resources, trouble of the operating system. */
const TRANSIENT_CLASSES = new Set(["08", "40", "53", "58"]);

/**
 * A lock or a statement timed out (55P03, 57014); the server or the session
 * ended, or the server is not up yet (57P01 to 57P03, 57P05, 25P03); a standby
 * that is about to be promoted, or a primary that no longer is one (25006).
 */
const TRANSIENT_STATES = new Set(["55P03", "57014", "57P01", "57P02", "57P03", "57P05", "25P03", "25006"]);

/** The statement may have committed: the session ended while it was under way, or the server says so itself. */
const UNKNOWN_STATES = new Set(["08000", "08003", "08006", "08007", "40003", "57P01", "57P02"]);

/** The SQLSTATE of an error of any client library, or of what caused it; `undefined` when the server said nothing. */
export function sqlStateOf(error: unknown): string | undefined {
  for (const link of causes(error)) {
    // System errors have codes too, and some (EPIPE) look like a SQLSTATE.
    const isSystemError = "syscall" in link || typeof (link as { errno?: unknown }).errno === "number";
    const { code } = link as { code?: unknown };
    if (!isSystemError && typeof code === "string" && /^[0-9A-Z]{5}$/.test(code)) return code;
  }
  return undefined;
}

/** True when the same statement may succeed later without anybody changing anything. */
export function isTransient(error: unknown): boolean {
  if (isUnreachable(error) || isUnknownOutcome(error)) return true;
  const state = sqlStateOf(error);
  if (state === undefined) return hasCode(error, NEVER_CONNECTED_CODES);
  return TRANSIENT_CLASSES.has(state.slice(0, 2)) || TRANSIENT_STATES.has(state);
}

/** True when the connection ended, or time ran out, after the statement was sent: it may or may not have committed. */
export function isUnknownOutcome(error: unknown): boolean {
  if (isUnreachable(error)) return false;
  if (isHowdahError(error, "HOWDAH_CONNECTION_LOST") || isHowdahError(error, "HOWDAH_QUERY_TIMEOUT")) return true;
  const state = sqlStateOf(error);
  if (state !== undefined) return UNKNOWN_STATES.has(state);
  return hasCode(error, CONNECTION_CODES) || hasConnectionMessage(error);
}

/** True when the values of the statement are at fault: bad data, a constraint, or a limit of the server (classes 22, 23, 54). */
export function isDataError(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state !== undefined && ["22", "23", "54"].includes(state.slice(0, 2));
}

function isUnreachable(error: unknown): boolean {
  return isHowdahError(error, "HOWDAH_DATABASE_UNREACHABLE");
}

function hasCode(error: unknown, codes: ReadonlySet<string>): boolean {
  return causes(error).some((link) => codes.has(String((link as { code?: unknown }).code)));
}

function hasConnectionMessage(error: unknown): boolean {
  return causes(error).some((link) => CONNECTION_MESSAGES.test(String((link as { message?: unknown }).message)));
}

function causes(error: unknown): object[] {
  const links: object[] = [];
  for (let link = error; typeof link === "object" && link !== null && links.length < MAX_CAUSES;) {
    links.push(link);
    link = (link as { cause?: unknown }).cause;
  }
  return links;
}
