import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { HowdahError } from "../errors.ts";
import { compress, encodingFor, type FileEncoding, isCompressible } from "./encodings.ts";
import { notFound } from "./problem.ts";

/**
 * The files of the page, as the build has left them in a folder. They are read
 * once: a path can only name one of those that were found there. Each is
 * compressed once, when a browser first asks for it: the package has no
 * compressed twins, which would make it larger for those who never open the page.
 */
export class PageFiles {
  readonly #folder: string;
  #files: Promise<ReadonlyMap<string, PageFile>> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Answers with the file at a path, or with the page itself for a path that is one of its views. */
  async answer(path: string, request: Request, head: PageHead): Promise<Response> {
    this.#files ??= readFiles(this.#folder);
    const files = await this.#files;
    const index = files.get("index.html");
    if (!index) {
      // They may be there the next time.
      this.#files = undefined;
      throw new HowdahError(
        "HOWDAH_ADMIN_PAGE_MISSING",
        "The files of the admin page are not there: run `npm run build`.",
      );
    }
    const name = nameOf(path);
    const file = name === "index.html" || name === "" ? undefined : files.get(name);
    if (file) return toResponse(file, request);
    if (name.startsWith("assets/") || extname(name) !== "") throw notFound("There is no file of this name.");
    return new Response(withHead(index.body.toString("utf8"), head), {
      headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" },
    });
  }
}

/** What is put into the head of the page for each request. */
export interface PageHead {
  /** Where the page is, without a slash at the end. */
  readonly prefix: string;
  /** What the page begins with; `undefined` for someone without credentials, whom it asks for them. */
  readonly session: Readonly<Record<string, unknown>> | undefined;
}

interface PageFile {
  readonly body: Buffer;
  readonly type: string;
  readonly etag: string;
  /** Its name changes with what is in it. */
  readonly isHashed: boolean;
  /** What was compressed so far. */
  readonly encoded: Map<FileEncoding, Promise<Buffer>>;
}

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
};

async function readFiles(folder: string): Promise<ReadonlyMap<string, PageFile>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile() && Object.hasOwn(TYPES, extname(entry.name)))
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        const name = relative(folder, path).split(sep).join("/");
        return [name, toFile(name, await readFile(path))] as const;
      }),
  );
  return new Map(files);
}

function toFile(name: string, body: Buffer): PageFile {
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  const isHashed = name.startsWith("assets/");
  return { body, type: TYPES[extname(name)] ?? "application/octet-stream", etag, isHashed, encoded: new Map() };
}

async function toResponse(file: PageFile, request: Request): Promise<Response> {
  const { type, isHashed } = file;
  const isSmaller = isCompressible(type) && file.body.length >= LEAST_BYTES;
  const encoding = isSmaller ? encodingFor(request.headers.get("accept-encoding")) : undefined;
  // What a cache keeps of the one encoding is not the other.
  const etag = encoding === undefined ? file.etag : file.etag.replace(/"$/, `-${encoding}"`);
  const headers = {
    "content-type": type,
    etag,
    "cache-control": isHashed ? "private, max-age=31536000, immutable" : "private, no-cache",
    ...(isSmaller ? { vary: "accept-encoding" } : {}),
  };
  if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  if (encoding === undefined) return new Response(new Uint8Array(file.body), { headers });
  const body = await encodedBody(file, encoding);
  return new Response(new Uint8Array(body), { headers: { ...headers, "content-encoding": encoding } });
}

/** A smaller one fits into a packet as it is. */
const LEAST_BYTES = 1_024;

function encodedBody({ body, encoded }: PageFile, encoding: FileEncoding): Promise<Buffer> {
  const known = encoded.get(encoding) ?? compress(body, encoding);
  encoded.set(encoding, known);
  return known;
}

function nameOf(path: string): string {
  try {
    return decodeURIComponent(path).replace(/^\/+/, "");
  } catch {
    return path;
  }
}

function withHead(html: string, { prefix, session }: PageHead): string {
  const base = `<base href="${escape(prefix)}/">`;
  const meta =
    session === undefined ? base : `${base}<meta name="howdah" content="${escape(JSON.stringify(session))}">`;
  // Not a text, in which `$` would have a meaning.
  return html.replace(/<head>/i, (head) => `${head}${meta}`);
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** What people are told who get no page, by the status. */
export const PLAIN_TEXTS: Readonly<Record<number, string>> = {
  503: "The admin page is not there: its files are not built (npm run build), or the server is shutting down. The API may work.",
};

/** A page with nothing but a text, which needs no file. */
export function toPlainPage(text: string): string {
  const safe = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Howdah</title></head><body><p>${safe}</p></body></html>\n`;
}
