/** What went wrong with a request, as the page tells it. */
export type ProblemKind =
  /** No answer came: the network, or the server is down. */
  | "unreachable"
  /** The server gave up waiting for the database, or the page for the server. */
  | "slow"
  | "unauthorised"
  | "forbidden"
  /** What was asked for is not there (any more). */
  | "gone"
  /** The request was wrong: a filter that cannot be read. */
  | "refused"
  | "failed";

/** A request that was not answered as hoped. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly kind: ProblemKind;
  /** The code of the error, such as `HOWDAH_QUERY_TIMEOUT`; empty when the server gave none. */
  readonly code: string;
  /** The status of HTTP; 0 without an answer. */
  readonly status: number;

  constructor(kind: ProblemKind, message: string, { code = "", status = 0 }: ProblemFacts = {}) {
    super(message);
    this.kind = kind;
    this.code = code;
    this.status = status;
  }
}

/** What else is known of it. */
interface ProblemFacts {
  readonly code?: string | undefined;
  readonly status?: number | undefined;
}

/** Reads an answer that is no success: problem details of RFC 9457, or anything that a proxy writes. */
export function problemOf(status: number, body: unknown): Problem {
  const { title, detail, code } = details(body);
  const message = detail || title || `The server answered with status ${status}.`;
  return new Problem(kindOf(status, code), message, { code, status });
}

/** Whatever was thrown by a request, as a problem. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem("unreachable", "The server cannot be reached.");
}

function kindOf(status: number, code: string): ProblemKind {
  if (code === "HOWDAH_QUERY_TIMEOUT" || status === 504) return "slow";
  if (status === 401) return "unauthorised";
  if (status === 403) return "forbidden";
  if (status === 404 || status === 410) return "gone";
  if (status === 502 || status === 503) return "unreachable";
  return status >= 400 && status < 500 ? "refused" : "failed";
}

function details(body: unknown): { readonly title: string; readonly detail: string; readonly code: string } {
  const found = typeof body === "object" && body !== null ? (body as Readonly<Record<string, unknown>>) : {};
  const text = (name: string): string => (typeof found[name] === "string" ? found[name] : "");
  return { title: text("title"), detail: text("detail"), code: text("code") };
}
