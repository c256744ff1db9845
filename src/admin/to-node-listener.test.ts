import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { afterEach, expect, it } from "vitest";
import { toNodeListener } from "./to-node-listener.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers with what it has been asked. */
const echo = {
  async fetch(request: Request, info: object): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    return Response.json({ method: request.method, path: pathname + search, body: await request.text(), ...info });
  },
};

const post = { method: "POST", body: '{"a":1}', headers: { "content-type": "application/json" } };

it("passes on method, path, query and body, and who asks", async () => {
  const url = await serve(toNodeListener(echo));
  expect(await (await fetch(`${url}/admin/x?y=%20`, post)).json()).toEqual({
    method: "POST",
    path: "/admin/x?y=%20",
    body: '{"a":1}',
    remoteAddress: "127.0.0.1",
  });
});

it("passes on the path before a framework took its prefix off, and the body that one has parsed", async () => {
  const listener = toNodeListener(echo);
  const url = await serve((incoming, outgoing) => {
    const request = Object.assign(incoming, { originalUrl: incoming.url, url: "/" });
    void json(request).then((body) => listener(Object.assign(request, { body }), outgoing));
  });
  expect(await (await fetch(`${url}/admin/x`, post)).json()).toMatchObject({ path: "/admin/x", body: '{"a":1}' });
});

it("leaves the globals of the application alone", async () => {
  const { Request: RequestBefore, Response: ResponseBefore } = globalThis;
  toNodeListener(echo);
  expect([globalThis.Request === RequestBefore, globalThis.Response === ResponseBefore]).toEqual([true, true]);
});

it("streams, and cancels the stream when the client is gone", async () => {
  let wasCancelled: () => void = () => {};
  const cancelled = new Promise<void>((resolve) => (wasCancelled = resolve));
  const stream = () =>
    new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
      cancel: wasCancelled,
    });
  const fetched = () => new Response(stream(), { headers: { "content-type": "text/event-stream" } });
  const url = await serve(toNodeListener({ fetch: fetched }));
  const leaving = new AbortController();
  const response = await fetch(url, { signal: leaving.signal });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("data: 1\n\n");
  leaving.abort();
  await cancelled;
});
