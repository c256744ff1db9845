import { HowdahError } from "../errors.ts";
import { string } from "../runtime/option-kinds.ts";
import { type Option, optionLabel } from "../runtime/options.ts";
import { hostsOf } from "./hosts.ts";

/** An option that holds a connection string, without the space around it. It may be left out. */
export const CONNECTION_STRING: Option<string | undefined> = {
  suffix: "",
  read(given, place) {
    const text = string().read(given, place);
    return text === undefined ? undefined : readConnectionString(text, optionLabel(place));
  },
};

/**
 * Refuses at once what `pg` would misread, because it would try another host
 * for as long as it may and then print parts of the password as a name. `label`
 * names where the text comes from; the text itself is never quoted. Throws
 * `HOWDAH_OPTION_INVALID`.
 */
export function readConnectionString(given: string, label: string): string {
  const text = given.trim();
  const fault = faultOf(text);
  if (fault === undefined) return text;
  throw new HowdahError("HOWDAH_OPTION_INVALID", `${label} ${fault}`);
}

const EXAMPLE = "postgresql://user:password@host:5432/database";

function faultOf(text: string): string | undefined {
  if (isSocketFolder(text)) return undefined;
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === "socket") return undefined;
  if (!/^postgres(ql)?:\/\//i.test(text)) return otherForm(text, scheme);
  const hosts = hostsOf(text);
  if (typeof hosts === "string") return hosts;
  return hosts.texts.every(isUnambiguous)
    ? undefined
    : `is not a URL like ${EXAMPLE}; in the user, the password and behind the host, characters such as @, #, ?, % and / ` +
        "have to be percent-encoded: @ as %40, # as %23, ? as %3F, % as %25, / as %2F.";
}

/** A folder and a database, which `pg` takes too: "/run/postgresql database". */
function isSocketFolder(text: string): boolean {
  return text.startsWith("/") && !text.startsWith("//") && !text.includes("@");
}

/** Schemes of which it is safe to say that they were found: they are no part of a password. */
const OTHER_SCHEMES = new Set(
  "cockroachdb db2 file ftp http https jdbc mariadb mongodb mongodb+srv mssql mysql oracle pg psql redis rediss sqlite sqlserver ssh tcp unix".split(
    " ",
  ),
);

function otherForm(text: string, scheme: string | undefined): string {
  if (/^["'`]/.test(text)) return `begins with a quotation mark; it has to be a URL like ${EXAMPLE} without quotes.`;
  if (scheme === "jdbc")
    return `is a URL of JDBC; write ${EXAMPLE}, without \`jdbc:\` and with the user in front of the host.`;
  if (scheme?.startsWith("postgresql+") || scheme?.startsWith("postgres+"))
    return `names a driver behind a +; write ${EXAMPLE}.`;
  if (scheme !== undefined && OTHER_SCHEMES.has(scheme))
    return `begins with \`${scheme}:\`, which does not lead to PostgreSQL; a URL like ${EXAMPLE} is needed.`;
  if (/^\w+\s*=/.test(text)) return `is in the form \`host=... dbname=...\`; write it as a URL like ${EXAMPLE}.`;
  return `is not a URL like ${EXAMPLE}.`;
}

/**
 * False when a character of the password may have ended the password: then the
 * `@` in front of the host stands somewhere behind of what is read as the host.
 */
function isUnambiguous(text: string): boolean {
  const url = parse(text);
  return url !== undefined && url.hash === "" && !/@/.test(url.pathname + url.search);
}

/** Also parses a URL without a host, "postgres://user:password@/database?host=/tmp", as `pg` does. */
function parse(text: string): URL | undefined {
  if (URL.canParse(text)) return new URL(text);
  const withHost = text.replace(/^([^/]*\/\/[^/?#]*@)\//, "$1localhost/");
  return withHost !== text && URL.canParse(withHost) ? new URL(withHost) : undefined;
}

/** Where a connection string leads, for messages: only what certainly is a name. */
export function describeTarget(text: string | undefined): string {
  if (!text) return `the database that the PG... variables of the environment name, because nothing else was given`;
  const hosts = /^postgres/i.test(text) && faultOf(text) === undefined ? hostsOf(text) : undefined;
  const urls = typeof hosts === "object" ? hosts.texts.map(parse) : [];
  const [url] = urls;
  if (!url) return "the database";
  const database = nameIn(url.pathname.slice(1)) ?? (url.pathname.length > 1 ? undefined : "of the user");
  return ["the database", database, "at", urls.map(hostIn).join(",")].filter(Boolean).join(" ");
}

function hostIn(url: URL | undefined): string | undefined {
  return [url?.searchParams.get("host"), url?.host, "localhost"].map((given) => nameIn(given ?? "")).find(Boolean);
}

function nameIn(text: string): string | undefined {
  const name = decode(text);
  return name !== undefined && /^[\p{L}\p{N}_.:[\]/-]+$/u.test(name) ? name : undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
