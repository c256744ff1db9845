import { randomBytes } from "node:crypto";
import type { Client } from "../client/client.ts";
import type { AnyTaskDeclaration } from "../job/task-declaration.ts";
import { LOGGER } from "../runtime/logger-option.ts";
import type { Logger } from "../runtime/logger.ts";
import { boolean, custom, func, integer, list, nested, object, required, string } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, type OptionPlace, type OptionsOf, readOptions } from "../runtime/options.ts";
import type { Authorize } from "./auth/authorize.ts";
import { Redaction } from "./redact/redaction.ts";

/** Options of {@link createAdmin}. */
export interface AdminOptions {
  /** What `createClient()` returned. It is not closed with the admin API. */
  readonly client: Client;
  /** Who may do what; there is no access without it. */
  readonly authorize: Authorize;
  /** Where it is mounted, such as `"/admin"`. Default: at the root. */
  readonly basePath?: string | undefined;
  /**
   * Tasks of which the page shows what their payloads must be, where their schemas
   * can say it as JSON Schema. What is added of them through the API must fit; it
   * gets their defaults, unless it is a copy or added by someone who is limited to
   * some tasks or queues. Default: none.
   */
  readonly tasks?: readonly AnyTaskDeclaration[] | undefined;
  /** Refuses every change. Default false. */
  readonly readOnly?: boolean | undefined;
  /**
   * What never leaves the server: paths of payloads such as `"$.card.number"`
   * and `"$..password"`, and regular expressions of texts. Values at the paths
   * are removed from the errors of their jobs, too.
   */
  readonly redact?: readonly (string | RegExp)[] | undefined;
  /** Takes `X-Forwarded-Prefix` and `X-Forwarded-Host` for true. Only behind a proxy that sets them. Default false. */
  readonly trustProxy?: boolean | undefined;
  /**
   * Where the trace of a job is: a URL with `{traceId}`, `{id}` and `{task}` in
   * it. A job without a trace has no link where `{traceId}` is.
   */
  readonly traceUrl?: string | undefined;
  /** Shown on every page, so that production is not taken for anything else. */
  readonly environment?: AdminEnvironment | undefined;
  /** Sites that may show the page in a frame, such as `"https://intranet.example.com"`. Default: none. */
  readonly frameAncestors?: readonly string[] | undefined;
  /** Signs previews. The same for all processes behind one address. Default: a random one. At least 16 characters. */
  readonly secret?: string | undefined;
  /** The largest body of a request. Default 1 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** How many live streams are open at once, at most; half of them for one person. Default 200. */
  readonly maxStreams?: number | undefined;
  /** Has a line for each change. Default: `consoleLogger()`. */
  readonly logger?: Logger | undefined;
}

/** What a page is about. */
export interface AdminEnvironment {
  readonly name: string;
  /** `#` and six hexadecimal digits. */
  readonly colour?: string | undefined;
}

/** The options as they were read. */
export type AdminSettings = OptionsOf<typeof SHAPE>;

/** Reads the options of the admin API. Throws `HOWDAH_OPTION_INVALID` and `HOWDAH_OPTION_UNKNOWN`. */
export function readAdminOptions(options: AdminOptions): AdminSettings {
  return readOptions("admin", options, SHAPE);
}

const SHAPE = {
  client: required(object<Client>(["listJobs"])),
  authorize: required(func<Authorize>()),
  basePath: custom(readBasePath),
  tasks: list(required(custom(readDeclaration))),
  readOnly: boolean({ default: false }),
  redact: { suffix: "", read: (given: unknown) => new Redaction(readRules(given)) },
  trustProxy: boolean({ default: false }),
  traceUrl: custom(readTraceUrl),
  environment: nested({ name: string({ maxLength: 100 }), colour: custom(readColour) }),
  frameAncestors: list(required(custom(readOrigin))),
  secret: { suffix: "", read: (given: unknown, place: OptionPlace) => readSecret(given, place) },
  maxBodyBytes: integer({ min: 1_024, max: 100 * 1_024 * 1_024, default: 1_024 * 1_024 }),
  maxStreams: integer({ min: 1, max: 100_000, default: 200 }),
  logger: LOGGER,
} as const;

/** Whether a text is a path that can stand before others: nothing in it ends an attribute or a header. */
export function isPathPrefix(text: string): boolean {
  return text.length <= 500 && /^(?:\/[\w.~-]+)*$/.test(text) && !/\/\.\.?(?:\/|$)/.test(text);
}

function readDeclaration(given: unknown, place: OptionPlace): AnyTaskDeclaration {
  const { identifier, kind } = (isOptionsObject(given) ? given : {}) as Partial<AnyTaskDeclaration>;
  if (typeof identifier === "string" && (kind === "single" || kind === "batch")) return given as AnyTaskDeclaration;
  throw invalidOption(place, "must be a task made by defineTask() or defineBatchTask()", given);
}

function readBasePath(given: unknown, place: OptionPlace): string {
  const text = typeof given === "string" ? given.replace(/\/+$/, "") : undefined;
  if (text !== undefined && isPathPrefix(text)) return text;
  throw invalidOption(place, 'must be a path such as "/admin", of letters, digits and -._~', given);
}

function readRules(given: unknown): readonly (string | RegExp)[] {
  const rules = given ?? [];
  if (Array.isArray(rules)) return rules as readonly (string | RegExp)[];
  throw invalidOption({ owner: "admin", path: "redact" }, "must be a list of paths and regular expressions", given);
}

function readTraceUrl(given: unknown, place: OptionPlace): string {
  if (typeof given === "string" && /^https?:\/\/[^\s"'<>]+$/.test(given)) return given;
  throw invalidOption(place, "must be a URL of http or https", given);
}

function readColour(given: unknown, place: OptionPlace): string {
  if (typeof given === "string" && /^#[0-9a-f]{6}$/i.test(given)) return given;
  throw invalidOption(place, "must be # and six hexadecimal digits", given);
}

function readOrigin(given: unknown, place: OptionPlace): string {
  if (typeof given === "string" && /^(?:'self'|https?:\/\/[\w.-]+(?::\d+)?)$/.test(given)) return given;
  throw invalidOption(place, 'must be a site such as "https://intranet.example.com", or "\'self\'"', given);
}

function readSecret(given: unknown, place: OptionPlace): string {
  if (given === undefined) return randomBytes(32).toString("hex");
  if (typeof given === "string" && given.length >= 16) return given;
  // Not with what was found.
  throw invalidOption(place, "must be a text of at least 16 characters", typeof given);
}
