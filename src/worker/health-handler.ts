import type { WorkerHealth } from "./health.ts";

/**
 * Answers the probes of an orchestrator with the health of a worker, or of
 * several: for `node:http`, Express and the like as `(request, response)`, for
 * everything that takes a `Request` as `handler.fetch`. A path that ends with
 * `/live` asks whether they live, every other path whether they are ready. The
 * status is 200 or 503, the body JSON: `live`, `ready` and `reasons`, of
 * several workers the reasons of all.
 */
export function healthHandler(worker: HealthSource | readonly HealthSource[]): HealthHandler {
  const workers: readonly HealthSource[] = Array.isArray(worker) ? worker : [worker as HealthSource];
  const handler = ({ url = "/" }: HealthRequest, response: HealthResponse): void => {
    const { status, body } = answer(workers, url);
    response.writeHead(status, HEADERS);
    response.end(body);
  };
  const fetch = ({ url }: { readonly url: string }): Response => {
    const { status, body } = answer(workers, url);
    return new Response(body, { status, headers: HEADERS });
  };
  return Object.assign(handler, { fetch });
}

/** What has a health: a worker. */
export interface HealthSource {
  /** How it is now. */
  health(): WorkerHealth;
}

/** Answers probes. */
export interface HealthHandler {
  (request: HealthRequest, response: HealthResponse): void;
  /** Answers a `Request` of the web's `fetch`. */
  fetch(request: { readonly url: string }): Response;
}

/** What is needed of a request of `node:http`. */
export interface HealthRequest {
  readonly url?: string | undefined;
}

/** What is needed of a response of `node:http`. */
export interface HealthResponse {
  /** Sends the status and the headers. */
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  /** Sends the body, and ends the response. */
  end(body: string): unknown;
}

const HEADERS = { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" };

function answer(workers: readonly HealthSource[], url: string): { readonly status: number; readonly body: string } {
  const all = workers.map((worker) => worker.health());
  const live = all.every((health) => health.live);
  const ready = all.every((health) => health.ready);
  const reasons = all.flatMap((health) => health.reasons);
  const isWell = PATH_OF_LIVENESS.test(url) ? live : ready;
  return { status: isWell ? 200 : 503, body: JSON.stringify({ live, ready, reasons }) };
}

/** The path ends with it; a query may contain anything. */
const PATH_OF_LIVENESS = /^[^?#]*\/live\/?(?:[?#]|$)/;
