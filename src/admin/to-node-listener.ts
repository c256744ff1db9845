import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";

/**
 * Answers the requests of `node:http`, Express, Fastify, Koa and the like with a `fetch` handler, such as that of
 * `createAdmin`. Express may have taken a prefix off the path, and a parser may have read the body as JSON: the handler
 * sees the request as it came.
 */
export function toNodeListener(handler: FetchHandler): NodeListener {
  const answer: FetchCallback = (request, { incoming }) =>
    handler.fetch(request, { remoteAddress: incoming.socket.remoteAddress });
  // The globals belong to the application.
  const listener = getRequestListener(answer, { overrideGlobalObjects: false });
  return (incoming, outgoing) => {
    asItCame(incoming);
    void listener(incoming, outgoing);
  };
}

/** What answers a `Request` of the web's `fetch`. */
export interface FetchHandler {
  /** Answers one request, which came from this address. */
  fetch(request: Request, info: { readonly remoteAddress: string | undefined }): Response | Promise<Response>;
}

/** A listener of `node:http`. */
export type NodeListener = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

type FetchCallback = (request: Request, connection: HttpBindings | Http2Bindings) => Response | Promise<Response>;

/** What frameworks add to a request. */
interface FrameworkRequest extends IncomingMessage {
  readonly originalUrl?: unknown;
  readonly body?: unknown;
  rawBody?: unknown;
}

function asItCame(incoming: FrameworkRequest): void {
  const { originalUrl, body } = incoming;
  if (typeof originalUrl === "string") incoming.url = originalUrl;
  if (incoming.readableEnded && body !== undefined) incoming.rawBody ??= bytesOf(body);
}

function bytesOf(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}
