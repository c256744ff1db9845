import { type Context, Hono } from "hono";
import { z } from "zod";
import { HowdahError } from "../errors.ts";
import { type Route, ROUTES } from "./contract/routes.ts";
import type { Problem } from "./contract/component.ts";
import type { AdminGround, Caller, Handlers } from "./ground.ts";
import { createPauseRoutes, createRecoveryRoutes, createScheduleRoutes } from "./handlers/change-groups.ts";
import { createJobChanges } from "./handlers/change-jobs.ts";
import { createBulkRoutes } from "./handlers/change-many.ts";
import { createChangeReads } from "./handlers/read-changes.ts";
import { createQueueReads } from "./handlers/read-groups.ts";
import { createHistoryReads } from "./handlers/read-history.ts";
import { createJobReads } from "./handlers/read-jobs.ts";
import { createOverviewReads } from "./handlers/read-overview.ts";
import { createTaskReads } from "./handlers/read-tasks.ts";
import { createWorkerReads } from "./handlers/read-workers.ts";
import { type LiveGuard, LiveHub } from "./live/live-hub.ts";
import type { TopicAnswer, TopicSource } from "./live/topic.ts";
import { PREFIX, toOpenApi } from "./open-api.ts";
import { requireRole } from "./principal.ts";
import { notFound, readPart, RequestError, toProblem } from "./problem.ts";
import { readBody, requireChangeHeader } from "./security.ts";

/** The routes of the API, for requests of which is known who asks. */
export class Api implements TopicSource {
  readonly #ground: AdminGround;
  readonly #app: Hono<{ Bindings: ApiRequest }>;
  readonly #live: LiveHub;
  #description: string | undefined;

  constructor(ground: AdminGround) {
    this.#ground = ground;
    this.#live = new LiveHub(this, ground.clock, ground.settings.maxStreams);
    this.#app = new Hono({ getPath: (_, options) => options?.env?.path ?? "" });
    const handlers = handlersOf(ground);
    for (const [name, route] of Object.entries<Route>(ROUTES)) {
      const handler = handlers[name as keyof Handlers] as AnyHandler;
      this.#app.on(route.method, `${PREFIX}${route.path}`, (context) => this.#carryOut(route, handler, context));
    }
    this.#app.get(`${PREFIX}/live`, (context) => this.#open(context.req.raw, context.env));
    this.#app.get(`${PREFIX}/openapi.json`, () => this.#describe());
    this.#app.notFound(() => this.refusal(notFound("The admin API has no such route.")));
    this.#app.onError((error, context) => this.refusal(error, context.env.caller));
  }

  /** Answers a request. */
  async fetch(request: Request, env: ApiRequest): Promise<Response> {
    return this.#app.fetch(request, env);
  }

  async answer(topic: string, caller: Caller): Promise<TopicAnswer> {
    const url = new URL(`http://topic${PREFIX}/${topic}`);
    // Dots and tabs may lead to what is said of the first who follows a topic.
    const path = NO_TOPIC.test(url.pathname) ? "" : url.pathname;
    const response = await this.fetch(new Request(url), { path, caller, guard: undefined });
    const asOf = new Date(this.#ground.clock.now()).toISOString();
    const body = (await response.json()) as Readonly<Record<string, unknown>>;
    if (!response.ok) return { asOf, problem: body as unknown as Problem };
    return { asOf: typeof body["asOf"] === "string" ? body["asOf"] : asOf, body };
  }

  /** The answer to a request that failed. What is not the fault of who asked is logged. */
  refusal(error: unknown, caller?: Pick<Caller, "requestId">): Response {
    const told = toProblem(error, caller?.requestId);
    const problem = { ...told, detail: this.#ground.redaction.text(told.detail) };
    if (problem.status >= 500)
      this.#ground.logger.error("A request to the admin API failed", { request: caller?.requestId, error });
    return json(problem, problem.status, "application/problem+json");
  }

  /** Ends the live streams. */
  close(): void {
    this.#live.close();
  }

  async #carryOut(route: Route, handler: AnyHandler, context: Context<{ Bindings: ApiRequest }>): Promise<Response> {
    const { settings, clock, redaction } = this.#ground;
    const { caller } = context.env;
    const request = context.req.raw;
    requireRole(caller.principal, route.role);
    if (route.method === "POST") {
      if (settings.readOnly) throw new HowdahError("HOWDAH_ADMIN_READ_ONLY", "This admin API is read-only.");
      requireChangeHeader(request);
    }
    const params = route.params && readPart(route.params, context.req.param(), "path");
    const query = route.query && readPart(route.query, queryOf(request), "query");
    if (!route.query && route.method === "GET") readPart(NO_QUERY, queryOf(request), "query");
    const body =
      route.body &&
      readPart(route.body, parseBody(await readBody(request, settings.maxBodyBytes, clock), request), "body");
    const answer = await handler({ ...caller, params, query, body });
    return json(redaction.everywhere(answer), route.status ?? 200);
  }

  #open(request: Request, { caller, guard }: ApiRequest): Response {
    // No client would read its stream.
    if (request.method === "HEAD") throw new RequestError("A live stream answers GET only.");
    if (!guard) throw new RequestError("A live stream is no topic.");
    const [, list = ""] = /[?&]topics=([^&]*)/.exec(request.url) ?? [];
    const lastEventId = request.headers.get("last-event-id") ?? undefined;
    const stream = this.#live.open({ topics: list.split(",").map(decoded), caller, guard, lastEventId });
    const headers = {
      "content-type": "text/event-stream",
      "cache-control": "no-store, no-transform",
      // Of nginx, which else collects what is sent.
      "x-accel-buffering": "no",
    };
    return new Response(stream, { headers });
  }

  #describe(): Response {
    this.#description ??= JSON.stringify(toOpenApi());
    return new Response(this.#description, { headers: { "content-type": "application/json" } });
  }
}

/** A request with who asks. */
export interface ApiRequest {
  /** Behind the prefix at which the admin API is mounted. */
  readonly path: string;
  readonly caller: Caller;
  /** For a live stream; `undefined` where there can be none. */
  readonly guard: LiveGuard | undefined;
}

type AnyHandler = (call: Caller & { params: unknown; query: unknown; body: unknown }) => Promise<unknown>;

const NO_TOPIC = new RegExp(`^${PREFIX}/(?:live|session|openapi\\.json)$`);

const NO_QUERY = z.strictObject({});

function handlersOf(ground: AdminGround): Handlers {
  return {
    ...createWorkerReads(ground),
    ...createOverviewReads(ground),
    ...createJobReads(ground),
    ...createHistoryReads(ground),
    ...createQueueReads(ground),
    ...createTaskReads(ground),
    ...createChangeReads(ground),
    ...createJobChanges(ground),
    ...createBulkRoutes(ground),
    ...createPauseRoutes(ground),
    ...createScheduleRoutes(ground),
    ...createRecoveryRoutes(ground),
  };
}

function queryOf(request: Request): Readonly<Record<string, string>> {
  return Object.fromEntries(new URL(request.url).searchParams);
}

function parseBody(text: string, request: Request): unknown {
  if (text === "") return {};
  if (!/^application\/json\b/i.test(request.headers.get("content-type") ?? ""))
    throw new RequestError("The body must be JSON: send `content-type: application/json`.");
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new RequestError("The body is no JSON.");
  }
}

/** Undecodable texts are no topics. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "/";
  }
}

function json(value: unknown, status: number, type = "application/json"): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": type, "cache-control": "no-store" },
  });
}
