import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { HowdahError } from "../../errors.ts";
import type { Role } from "../contract/component.ts";
import { isRole, type Principal } from "../principal.ts";

/**
 * Says who asks: what they may do, or the answer that they get instead, with
 * the status 401 for instance. What it throws is logged, and the request refused.
 */
export type Authorize = (request: Request, info: RequestInfo) => Principal | Response | Promise<Principal | Response>;

/** What the server knows of a request beyond it. */
export interface RequestInfo {
  /** The address of the other end of the connection. Default: not known. */
  readonly remoteAddress?: string | undefined;
}

/** What someone may do who has given the right credentials. */
export interface Grant {
  /** Default: `"operate"`. */
  readonly role?: Role | undefined;
  /** The only tasks that they may see and change. Default: all. */
  readonly tasks?: readonly string[] | undefined;
  /** The only queues; `null` among them stands for jobs without a queue. Default: all. */
  readonly queues?: readonly (string | null)[] | undefined;
  /** The credentials are refused from this time on; a string in ISO 8601. Default: never. */
  readonly expires?: Date | string | undefined;
}

/** Makes a secret for credentials: 48 hexadecimal digits, from 24 random bytes. */
export function generateSecret(): string {
  return randomBytes(24).toString("hex");
}

/** Credentials with what they grant. */
export class Grants {
  readonly #entries: readonly Entry[];
  readonly #key = randomBytes(32);

  constructor(entries: readonly (Grant & { readonly name: string; readonly secret: string })[]) {
    if (entries.length === 0) throw invalid("at least one credential is needed");
    requireOwnNames(entries);
    this.#entries = entries.map((entry) => {
      if (entry.secret === "" || typeof entry.secret !== "string")
        throw invalid("a secret must be a text that is not empty");
      if (typeof entry.name !== "string" || entry.name === "") throw invalid("a name must be a text that is not empty");
      if (entry.role !== undefined && !isRole(entry.role)) throw invalid('a role is "read", "operate" or "admin"');
      return { ...toPrincipal(entry), digest: this.#digest(entry.secret), expiresMs: timeOf(entry.expires) };
    });
  }

  /**
   * Who has this secret and, if it is given, this name; or `undefined`.
   * It looks at all credentials and compares digests in constant time, so that
   * the time of an answer tells nothing of a secret.
   */
  find(secret: string, nowMs: number, name?: string): Principal | undefined {
    const digest = this.#digest(secret);
    let found: Principal | undefined;
    for (const { digest: expected, expiresMs, ...principal } of this.#entries) {
      const isEqual = timingSafeEqual(digest, expected);
      if (isEqual && nowMs < expiresMs && (name === undefined || name === principal.name)) found ??= principal;
    }
    return found;
  }

  /** Of the same length for all. */
  #digest(secret: string): Buffer {
    return createHmac("sha256", this.#key).update(secret).digest();
  }
}

/**
 * Throws `HOWDAH_OPTION_INVALID` for credentials of the same name that grant different things: the record tells people
 * apart by their names, and shows those who are limited what was done under theirs.
 */
export function requireOwnNames(grants: readonly (Grant & { readonly name: string })[]): void {
  const granted = new Map<string, string>();
  for (const { name, role, tasks, queues } of grants) {
    const grant = JSON.stringify([role ?? null, tasks ?? null, queues ?? null]);
    if ((granted.get(name) ?? grant) !== grant)
      throw invalid(
        `credentials that grant different things need a \`name\` each, and several have ${JSON.stringify(name)}`,
      );
    granted.set(name, grant);
  }
}

interface Entry extends Principal {
  readonly digest: Buffer;
  readonly expiresMs: number;
}

/** The error for credentials that cannot be meant. */
export function invalid(what: string): HowdahError {
  return new HowdahError("HOWDAH_OPTION_INVALID", `The credentials of the admin API are not usable: ${what}.`);
}

/** The answer to someone without valid credentials; the page or the API puts its own body there. */
export function unauthenticated(challenge?: string): Response {
  return new Response(null, { status: 401, headers: challenge === undefined ? {} : { "www-authenticate": challenge } });
}

function toPrincipal({ name, role = "operate", tasks, queues }: Grant & { readonly name: string }): Principal {
  return { name, role, tasks, queues };
}

function timeOf(expires: Date | string | undefined): number {
  if (expires === undefined) return Infinity;
  const time = new Date(expires).getTime();
  if (Number.isNaN(time)) throw invalid("`expires` must be a Date or a time in ISO 8601");
  return time;
}
