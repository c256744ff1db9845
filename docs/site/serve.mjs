import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** Serves a built site on a free port of this machine: `{ url, close }`. */
export async function serve(built) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const file = fileOf(built, decodeURIComponent(pathname));
    response.statusCode = file.endsWith("404.html") ? 404 : 200;
    response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
    response.end(readFileSync(file));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** A path without an ending is a page. */
function fileOf(built, path) {
  const places = [path, `${path}.html`, `${path}/index.html`].map((place) => join(built, place));
  const file = places.find((place) => place.startsWith(built) && existsSync(place) && statSync(place).isFile());
  return file ?? join(built, "404.html");
}
