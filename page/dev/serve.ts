/**
 * Serves the built page with answers that are made up, under the policy of the
 * real server: to look at it without a database.
 *
 *   npm run build && node --import ./scripts/typescript.mjs page/dev/serve.ts [PORT]
 */
import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize, resolve } from "node:path";
import { ANSWERS, preview, session } from "./fixtures.ts";

const BUILT = resolve(import.meta.dirname, "../../dist/admin/page");

const BASE = "/ops/";

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".html": "text/html",
};

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'";

/** Serves it on a port of 127.0.0.1, 0 for any that is free. */
export async function serve(port: number): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((listening) => server.listen(port, "127.0.0.1", listening));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${BASE}`, server };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://127.0.0.1");
  response.setHeader("content-security-policy", POLICY);
  const path = decodeURI(pathname.slice(BASE.length));
  if (path.startsWith("api/v1/")) return answerApi(path.slice("api/v1/".length), request, response);
  const file = join(BUILT, normalize(path));
  if (path !== "" && file.startsWith(BUILT) && existsSync(file) && extname(file) !== "") {
    response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
    response.end(readFileSync(file));
    return;
  }
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end(indexHtml());
}

function indexHtml(): string {
  const content = JSON.stringify({ ...session, serverTime: new Date().toISOString() }).replaceAll('"', "&quot;");
  const html = readFileSync(join(BUILT, "index.html"), "utf8");
  return html.replace("<head>", `<head><base href="${BASE}"><meta name="howdah" content="${content}">`);
}

/** Times are moved, so that what was read at the time of the fixtures was read now. */
function answerApi(path: string, request: IncomingMessage, response: ServerResponse): void {
  if (path === "live") {
    response.setHeader("content-type", "text/event-stream");
    response.write(`event: update\ndata: ${JSON.stringify({ topic: "overview", asOf: new Date().toISOString() })}\n\n`);
    return;
  }
  response.setHeader("content-type", "application/json");
  if (request.method === "POST") {
    response.end(
      moved(
        path === "jobs/preview"
          ? preview
          : path === "operations"
            ? ANSWERS["operations/7"]
            : { id: "99", changed: ["1"] },
      ),
    );
    return;
  }
  const found = ANSWERS[path];
  if (found === undefined) {
    response.statusCode = 404;
    response.setHeader("content-type", "application/problem+json");
    response.end(
      JSON.stringify({ title: "Not found", detail: `There is no ${path}.`, code: "HOWDAH_JOB_UNKNOWN", status: 404 }),
    );
    return;
  }
  response.end(moved(found));
}

const READ_AT = Date.UTC(2026, 10, 30, 12, 0, 7);

function moved(value: unknown): string {
  const by = Date.now() - READ_AT;
  return JSON.stringify(value, (_, one: unknown) =>
    typeof one === "string" && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(one)
      ? new Date(Date.parse(one) + by).toISOString()
      : one,
  );
}

if (process.argv[1] === import.meta.filename) {
  const { url } = await serve(Number(process.argv[2] ?? 4_100));
  console.log(url);
}
