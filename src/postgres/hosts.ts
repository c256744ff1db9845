/**
 * One connection string for each host that a connection string names, in order,
 * and the kind of server that is wanted, as libpq reads both:
 * `postgresql://one:5432,two:5433/database?target_session_attrs=read-write`.
 * What names one host stays as it is. Answers with a fault for what libpq
 * refuses, too, in words that go behind the name of the option.
 */
export function hostsOf(text: string): NamedHosts | string {
  const parts = URL_PARTS.exec(text)?.groups;
  // With an @ or # further behind, a character of the password may have ended the password: then no part is certain.
  if (!parts || /[@#]/.test(`${parts["path"]}${parts["query"]}${parts["rest"]}`))
    return { texts: [text], wanted: undefined, pairs: [], bare: text };
  const parameters = (parts["query"] ?? "").split("&").filter(Boolean);
  const wanted = valueOf(parameters, "target_session_attrs");
  if (wanted !== undefined && !isTargetSession(wanted)) return UNKNOWN_TARGET;
  const named = namedHosts(parts["hosts"] ?? "", parameters);
  if (typeof named === "string") return named;
  const others = parameters.filter((parameter) => !OWN_PARAMETERS.has(nameOf(parameter)));
  const query = others.length > 0 ? `?${others.join("&")}` : "";
  const front = `${parts["scheme"]}${parts["user"] ?? ""}`;
  const back = `${parts["path"] ?? ""}${query}`;
  const texts =
    named.length === 1 ? [text] : named.map(({ host, port }) => `${front}${inUrl(host)}${port && `:${port}`}${back}`);
  return { texts, wanted, pairs: named, bare: `${front}localhost${back}` };
}

/** The hosts of a connection string. */
export interface NamedHosts {
  /** A connection string for each of them. */
  readonly texts: readonly string[];
  /** What `target_session_attrs` says. */
  readonly wanted: TargetSession | undefined;
  /** The hosts themselves; one without a name is the usual one. Empty when the text is no URL. */
  readonly pairs: readonly HostAndPort[];
  /** The connection string with everything else: it says nothing of hosts, ports and kinds of servers. */
  readonly bare: string;
}

/** The kinds of servers that can be asked for. */
export const TARGET_SESSIONS = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] as const;

/** A kind of server. */
export type TargetSession = (typeof TARGET_SESSIONS)[number];

/** Whether this names a kind of server. */
export function isTargetSession(text: string): text is TargetSession {
  return (TARGET_SESSIONS as readonly string[]).includes(text);
}

/** The hosts and ports of two lists, as in the environment; a single port is that of all hosts. A fault if they do not fit. */
export function pairHosts(hosts: readonly string[], ports: readonly string[]): readonly HostAndPort[] | string {
  if (ports.length > 1 && ports.length !== hosts.length)
    return `names ${hosts.length} ${hosts.length === 1 ? "host" : "hosts"} and ${ports.length} ports: name one port, or one for each host.`;
  if (hosts.length > 1 && hosts.some((host) => host.trim() === ""))
    return "names several hosts, and one of them is empty.";
  const pairs = hosts.map((host, index) => ({ host: host.trim(), port: (ports[index] ?? ports[0] ?? "").trim() }));
  const wrong = pairs.find(({ port }) => !isPort(port));
  return wrong && hosts.length > 1
    ? "names several hosts, and one of them has a port that is no number up to 65535."
    : pairs;
}

/** One host. */
export interface HostAndPort {
  /** A name, an address, or the folder of a socket. */
  readonly host: string;
  /** Empty for the usual one. */
  readonly port: string;
}

/** The parts of a URL; `new URL` refuses the hosts. What stands in front of the last @ of them is the user. */
const URL_PARTS =
  /^(?<scheme>postgres(?:ql)?:\/\/)(?<user>[^/?#]*@)?(?<hosts>[^/?#@]*)(?<path>[^?#]*)(?:\?(?<query>[^#]*))?(?<rest>.*)$/is;

/** What is said of each host in its own text instead. */
const OWN_PARAMETERS = new Set(["host", "port", "target_session_attrs"]);

function namedHosts(inAuthority: string, parameters: readonly string[]): readonly HostAndPort[] | string {
  const host = valueOf(parameters, "host");
  const port = valueOf(parameters, "port");
  const hosts =
    host === undefined
      ? inAuthority.split(",").map(splitPort)
      : host.split(",").map((name) => ({ host: name, port: "" }));
  const ports = port === undefined ? hosts.map((pair) => pair.port) : port.split(",");
  return pairHosts(
    hosts.map((pair) => pair.host),
    ports,
  );
}

/** "name:5432", "[::1]:5432", "%2Frun%2Fpostgresql:5432". */
function splitPort(text: string): HostAndPort {
  const [, host = "", port = ""] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(text) ?? ["", text];
  return { host: decode(host.replace(/^\[(.*)\]$/, "$1")), port };
}

function inUrl(host: string): string {
  return host.includes(":") ? `[${host}]` : encodeURIComponent(host);
}

function isPort(text: string): boolean {
  return text === "" || (/^\d{1,5}$/.test(text) && Number(text) <= 65_535);
}

function valueOf(parameters: readonly string[], name: string): string | undefined {
  // `pg` takes the last one.
  const found = parameters.findLast((parameter) => nameOf(parameter) === name);
  return found === undefined ? undefined : decode(found.slice(found.indexOf("=") + 1).replaceAll("+", " "));
}

function nameOf(parameter: string): string {
  return decode(parameter.split("=", 1)[0] ?? "");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const UNKNOWN_TARGET = `has a target_session_attrs that is not known; it may be ${TARGET_SESSIONS.join(", ")}.`;
