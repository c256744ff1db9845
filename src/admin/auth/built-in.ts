import { type Clock, systemClock } from "../../runtime/clock.ts";
import type { Role } from "../contract/component.ts";
import { forbidden } from "../principal.ts";
import {
  type Authorize,
  Grants,
  invalid,
  type Grant,
  type RequestInfo,
  requireOwnNames,
  unauthenticated,
} from "./authorize.ts";

/** A name with its password. */
export interface BasicCredential extends Grant {
  readonly name: string;
  readonly password: string;
}

/** A token of the header `Authorization: Bearer`. */
export interface BearerCredential extends Grant {
  readonly token: string;
  /** Default: `"bearer"`. */
  readonly name?: string | undefined;
}

/** A header with a secret value, which a proxy adds for instance. */
export interface HeaderCredential extends Grant {
  readonly header: string;
  readonly value: string;
  /** Default: the name of the header. */
  readonly name?: string | undefined;
}

/** Settings of the built-in authorizers. */
export interface AuthSettings {
  /** What a browser shows when it asks for the password. Default: `"Howdah"`. */
  readonly realm?: string | undefined;
  readonly clock?: Pick<Clock, "now"> | undefined;
}

/**
 * Asks for a name and a password (RFC 7617), which browsers do by themselves.
 * Throws `HOWDAH_OPTION_INVALID` for a password that is empty.
 */
export function basicAuth(
  credentials: BasicCredential | readonly BasicCredential[],
  { realm = "Howdah", clock = systemClock }: AuthSettings = {},
): Authorize {
  if (!/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(realm)) throw invalid("a realm is printable ASCII without quotes");
  const grants = new Grants(listOf(credentials).map((one) => ({ ...one, secret: secretOf(one.name, one.password) })));
  return (request) => {
    const [, encoded] = /^Basic +([A-Za-z0-9+/=]{1,4000})$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    const given = encoded === undefined ? "" : Buffer.from(encoded, "base64").toString();
    const at = given.indexOf(":");
    const name = given.slice(0, Math.max(0, at));
    const found = grants.find(secretOf(name, given.slice(at + 1)), clock.now(), name);
    return (at > 0 && found) || unauthenticated(`Basic realm="${realm}", charset="UTF-8"`);
  };
}

/** Asks for a token in `Authorization: Bearer` (RFC 6750). Throws `HOWDAH_OPTION_INVALID` for one that is empty. */
export function bearerAuth(
  credentials: BearerCredential | readonly BearerCredential[],
  { clock = systemClock }: AuthSettings = {},
): Authorize {
  const grants = new Grants(
    listOf(credentials).map((one) => ({ ...one, name: one.name ?? "bearer", secret: one.token })),
  );
  return (request) => {
    const [, token] = /^Bearer +(\S{1,4000})$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    return grants.find(token ?? "", clock.now()) ?? unauthenticated("Bearer");
  };
}

/**
 * Asks for a header with a secret value. Throws `HOWDAH_OPTION_INVALID` for a
 * name that no header can have, and for a value that is empty.
 */
export function headerAuth(
  credentials: HeaderCredential | readonly HeaderCredential[],
  { clock = systemClock }: AuthSettings = {},
): Authorize {
  const each = listOf(credentials).map((one) => {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(one.header)) throw invalid("a header must have a name that HTTP allows");
    return { header: one.header, grants: new Grants([{ ...one, name: one.name ?? one.header, secret: one.value }]) };
  });
  requireOwnNames(listOf(credentials).map((one) => ({ ...one, name: one.name ?? one.header })));
  return (request) => {
    const found = each.map(({ header, grants }) => grants.find(request.headers.get(header) ?? "", clock.now()));
    return found.find((principal) => principal !== undefined) ?? unauthenticated();
  };
}

/**
 * Asks for nothing, and lets in only who is on the same machine: a request whose
 * connection comes from a loopback address, to a host that is one, so that no
 * other site can pose as this one, and without a proxy that says so in between.
 * The role is `admin` unless it is given.
 */
export function noAuth({ role = "admin" }: { readonly role?: Role | undefined } = {}): Authorize {
  return (request, info) => {
    if (isLocal(request, info)) return { name: "local", role };
    throw forbidden(
      "Without authentication only requests from this machine are answered, to localhost or a loopback address, without a proxy in between.",
    );
  };
}

/** Whether an address is one of this machine only. */
export function isLoopback(address: string): boolean {
  return /^(?:127(?:\.\d{1,3}){3}|::1|\[::1\]|::ffff:127(?:\.\d{1,3}){3}|localhost)$/i.test(address);
}

function isLocal(request: Request, { remoteAddress = "" }: RequestInfo): boolean {
  const host = request.headers.get("host") ?? new URL(request.url).host;
  const isForwarded = FORWARDED.some((name) => request.headers.has(name));
  return isLoopback(remoteAddress) && isLoopback(host.replace(/:\d+$/, "")) && !isForwarded;
}

/** What proxies add for whom they ask; that may be anyone. */
const FORWARDED = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/** A name has no colon, so that no other pair makes the same text. */
function secretOf(name: string, password: string): string {
  if (password === "") return "";
  return `${name}:${password}`;
}

function listOf<T>(given: T | readonly T[]): readonly T[] {
  return Array.isArray(given) ? (given as readonly T[]) : [given as T];
}
