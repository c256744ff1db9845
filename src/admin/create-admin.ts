import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { operatorAccessOf } from "../client/operator-access.ts";
import { HowdahError, isHowdahError } from "../errors.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import { type AdminOptions, type AdminSettings, isPathPrefix, readAdminOptions } from "./admin-options.ts";
import { Api } from "./api.ts";
import { Audit } from "./audit.ts";
import type { RequestInfo } from "./auth/authorize.ts";
import { SharedFacts } from "./shared-facts.ts";
import type { AdminGround, Caller } from "./ground.ts";
import { createWorkerReads } from "./handlers/read-workers.ts";
import type { LiveGuard } from "./live/live-hub.ts";
import { PREFIX } from "./open-api.ts";
import { OperationRuns } from "./operation-runs.ts";
import { PageFiles, PLAIN_TEXTS, toPlainPage } from "./page-files.ts";
import { PreviewTokens } from "./preview-tokens.ts";
import { checkPrincipal, type Principal } from "./principal.ts";
import { requireSameSite, securityHeaders } from "./security.ts";
import { TaskSchemas } from "./task-schemas.ts";

/**
 * Makes the admin page and its API, to be mounted in any server: see
 * `toNodeListener` for those of Node. Throws `HOWDAH_OPTION_INVALID` and
 * `HOWDAH_OPTION_UNKNOWN`.
 */
export function createAdmin(options: AdminOptions): Admin {
  return new AdminHost(readAdminOptions(options), {
    clock: systemClock,
    pageFolder: fileURLToPath(new URL("./page/", import.meta.url)),
  });
}

/** The admin page and its API, which answers requests of the web's `fetch`. */
export interface Admin extends AsyncDisposable {
  /**
   * Answers one request. Never rejects. `info` is what the server knows of the
   * connection; `noAuth` needs the address of its other end.
   */
  fetch(request: Request, info?: RequestInfo): Promise<Response>;
  /**
   * Ends the live streams, and pauses the operations that this process carries
   * out when their batches have ended. The client stays open. Closing twice is fine.
   */
  close(): Promise<void>;
}

/** What an {@link AdminHost} stands on beside its options. */
export interface ServerGround {
  readonly clock: Clock;
  /** Where the build has left the files of the page. */
  readonly pageFolder: string;
}

/** Finds out who asks, refuses what comes from other sites, and passes the rest on to the API or the page. */
export class AdminHost implements Admin {
  readonly #settings: AdminSettings;
  readonly #ground: AdminGround;
  readonly #api: Api;
  readonly #page: PageFiles;
  readonly #headers: Readonly<Record<string, string>>;
  #closing: Promise<void> | undefined;

  constructor(settings: AdminSettings, { clock, pageFolder }: ServerGround) {
    const { client, logger } = settings;
    const access = operatorAccessOf(client);
    this.#settings = settings;
    this.#ground = {
      client,
      access,
      settings,
      redaction: settings.redact,
      facts: new SharedFacts({ client, access }, clock),
      audit: new Audit(access, logger),
      tokens: new PreviewTokens(settings.secret, clock),
      runs: new OperationRuns(client.operations, access, logger),
      schemas: new TaskSchemas(settings.tasks),
      clock,
      logger,
    };
    this.#api = new Api(this.#ground);
    this.#page = new PageFiles(pageFolder);
    this.#headers = securityHeaders(settings.frameAncestors);
  }

  async fetch(request: Request, info: RequestInfo = {}): Promise<Response> {
    const requestId = randomUUID().slice(0, 8);
    const place = this.#locate(request);
    let response: Response;
    try {
      response = await this.#answer(request, { info, requestId, place });
    } catch (error) {
      response = this.#refusal(error, { requestId, place });
    }
    return this.#secured(response, request);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#api.close();
    await this.#ground.runs.close();
  }

  async #answer(request: Request, { info, requestId, place }: Arrival): Promise<Response> {
    if (this.#closing) throw new HowdahError("HOWDAH_CLIENT_CLOSED", "The admin API was closed.");
    const principal = await this.#authorize(request, info);
    if (principal instanceof Response) return this.#unauthenticated(principal, request, { requestId, place });
    const caller: Caller = { principal, requestId };
    if (isApi(place)) {
      requireSameSite(request, this.#settings.trustProxy);
      return this.#api.fetch(request, { path: place.path, caller, guard: this.#guard(request, info) });
    }
    if (request.method !== "GET" && request.method !== "HEAD")
      throw new HowdahError("HOWDAH_ADMIN_NOT_FOUND", "The page answers GET only; the API is at /api/v1.");
    const { session } = createWorkerReads(this.#ground);
    const head = await session({ ...caller, params: undefined, query: undefined, body: undefined });
    return this.#page.answer(place.path, request, { prefix: place.prefix, session: head });
  }

  async #authorize(request: Request, info: RequestInfo): Promise<Principal | Response> {
    try {
      const given = await this.#settings.authorize(request, info);
      return given instanceof Response ? given : checkPrincipal(given);
    } catch (error) {
      if (isHowdahError(error, "HOWDAH_ADMIN_FORBIDDEN")) throw error;
      // Not the fault of who asks, whatever its code says.
      throw new HowdahError("HOWDAH_UNEXPECTED", "`authorize` failed, so the request was refused.", error);
    }
  }

  /** Asks again with the request that a stream began with, because credentials expire. */
  #guard(request: Request, info: RequestInfo): LiveGuard {
    // The body of a stream's request is never read.
    const asked = new Request(request.url, { headers: request.headers });
    return {
      principal: async () => {
        try {
          const principal = await this.#authorize(asked, info);
          return principal instanceof Response ? undefined : principal;
        } catch {
          return undefined;
        }
      },
    };
  }

  /** What `authorize` answers with goes out as it is, with a body for people where it has none. */
  async #unauthenticated(
    given: Response,
    request: Request,
    at: Pick<Arrival, "requestId" | "place">,
  ): Promise<Response> {
    if (given.body !== null || given.status < 400) return given;
    if (mayShowPage(given, request, at.place))
      return this.#page.answer(at.place.path, request, { prefix: at.place.prefix, session: undefined });
    const error = new HowdahError(
      given.status === 401 ? "HOWDAH_ADMIN_UNAUTHENTICATED" : "HOWDAH_ADMIN_FORBIDDEN",
      given.status === 401
        ? "Sign in: this request has no valid credentials, or they have expired."
        : "This request is not allowed.",
    );
    const refusal = this.#refusal(error, at);
    const headers = new Headers(given.headers);
    for (const [name, value] of refusal.headers) headers.set(name, value);
    return new Response(refusal.body, { status: given.status, headers });
  }

  /** A problem for programs, and a page without anything for people. */
  #refusal(error: unknown, { requestId, place }: Pick<Arrival, "requestId" | "place">): Response {
    const refusal = this.#api.refusal(error, { requestId });
    if (isApi(place)) return refusal;
    const text = error instanceof Error && refusal.status < 500 ? error.message : PLAIN_TEXTS[refusal.status];
    return new Response(toPlainPage(text ?? `Something went wrong; the log has it under ${requestId}.`), {
      status: refusal.status,
      headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" },
    });
  }

  #secured(response: Response, request: Request): Response {
    const headers = new Headers(response.headers);
    for (const [name, value] of Object.entries(this.#headers)) headers.set(name, value);
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
    const body = request.method === "HEAD" ? null : response.body;
    return new Response(body, { status: response.status, headers });
  }

  /** Requests may come with the base path or without it: some routers take it off. */
  #locate(request: Request): Place {
    const { basePath = "", trustProxy } = this.#settings;
    const { pathname } = new URL(request.url);
    const isInside = basePath !== "" && (pathname === basePath || pathname.startsWith(`${basePath}/`));
    const forwarded = trustProxy ? (request.headers.get("x-forwarded-prefix") ?? "").replace(/\/+$/, "") : "";
    const before = isPathPrefix(forwarded) && forwarded !== basePath ? forwarded : "";
    return { path: isInside ? pathname.slice(basePath.length) || "/" : pathname, prefix: `${before}${basePath}` };
  }
}

interface Arrival {
  readonly info: RequestInfo;
  readonly requestId: string;
  readonly place: Place;
}

interface Place {
  /** Behind the base path, with a slash. */
  readonly path: string;
  /** What stands before it in the browser. */
  readonly prefix: string;
}

/**
 * Whether the page itself is shown without credentials: its files say nothing,
 * and where the browser does not ask for a password by itself, it has to.
 */
function mayShowPage({ status, headers }: Response, { method }: Request, place: Place): boolean {
  const isAsked = /^basic\b/i.test(headers.get("www-authenticate") ?? "");
  return status === 401 && !isAsked && !isApi(place) && (method === "GET" || method === "HEAD");
}

function isApi({ path }: Place): boolean {
  return path === PREFIX || path.startsWith("/api/");
}
