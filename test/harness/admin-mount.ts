import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { expect } from "vitest";
import { readProjectFile } from "../docs/project-tree.ts";
import { snippetsOf } from "../docs/snippets.ts";
import type { TestDatabase } from "./database.ts";
import { startNode } from "./process.ts";

/** The credentials of {@link assertMounted}. */
export const ADA = { name: "ada", password: "correct horse" };

const AUTHORIZATION = `Basic ${Buffer.from(`${ADA.name}:${ADA.password}`).toString("base64")}`;

/** The page that shows how to mount it. */
export const MOUNTS_PAGE = "docs/guides/admin.md";

/** A program of blocks of {@link MOUNTS_PAGE}. */
export interface MountProgram {
  /** A text that only the block holds which mounts the page. */
  readonly block: string;
  /** What is replaced in it. */
  readonly change?: readonly [found: string, replacement: string];
  /** What follows it: listens on any port, and prints `port` and its number. */
  readonly listen: string;
}

/** Runs a program, in a new folder below one where its libraries are found, and checks what it serves behind /admin. */
export async function assertProgramMounts(
  { block, change: [found, replacement] = ["", ""], listen }: MountProgram,
  { parent, database }: { readonly parent: string; readonly database: TestDatabase },
): Promise<void> {
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, "mount-"));
  try {
    const source = [blockWith("basicAuth("), blockWith(block).replace(found, replacement), listen].join("\n");
    const file = join(folder, "program.mjs");
    await writeFile(file, ts.transpile(source, { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }));
    const env = { DATABASE_URL: database.connectionString, HOWDAH_LOG: "error", ADMIN_PASSWORD: ADA.password };
    await using child = await startNode(file, { env });
    const port = (await child.line("port ")).replace("port ", "");
    await assertMounted(`http://127.0.0.1:${port}/admin`);
    expect(child.errorLines).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function blockWith(text: string): string {
  const found = snippetsOf(readProjectFile(MOUNTS_PAGE)).find(({ lines }) => lines.some((line) => line.includes(text)));
  if (!found) throw new Error(`No block of ${MOUNTS_PAGE} holds ${text}.`);
  return found.lines.join("\n");
}

/**
 * Checks all that may break where an application mounts the page behind a prefix: addresses of the page and its files,
 * the API, a body that a framework may have read, a stream, credentials and errors. `url` is the prefix with its origin,
 * without a slash at the end.
 */
export async function assertMounted(url: string): Promise<void> {
  const { pathname: prefix, origin } = new URL(url);
  const headers = { authorization: AUTHORIZATION };
  const get = (path: string) => fetch(url + path, { headers });

  for (const path of ["", "/", "/jobs/42", "/queues/a%2Fb"]) {
    const response = await get(path);
    const html = await response.text();
    expect({ path, status: response.status, html }).toMatchObject({
      status: 200,
      html: expect.stringContaining(`<base href="${prefix}/"`),
    });
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    for (const [, file = ""] of html.matchAll(/(?:src|href)="([^"]+\.(?:js|css))"/g)) {
      const asset = await fetch(new URL(file, `${origin}${prefix}/`), { headers });
      expect({ file, status: asset.status, type: asset.headers.get("content-type") }).toEqual({
        file,
        status: 200,
        type: expect.stringMatching(/^text\/(javascript|css)/),
      });
    }
  }

  const session = await get("/api/v1/session");
  expect([session.status, await session.json()]).toMatchObject([200, { name: ADA.name }]);
  expect((await fetch(`${url}/api/v1/session`)).status).toBe(401);
  const missing = await get("/api/v1/jobs/99999999");
  expect([missing.status, missing.headers.get("content-type")]).toEqual([
    404,
    expect.stringContaining("application/problem+json"),
  ]);

  const add = (more: Readonly<Record<string, string>>) =>
    fetch(`${url}/api/v1/jobs`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json", ...more },
      body: JSON.stringify({ task: "mounted", payload: '{"to":"ada"}' }),
    });
  const added = await add({ "x-howdah-request": "1", origin });
  const { id } = (await added.json()) as { readonly id: string };
  expect([added.status, id]).toEqual([201, expect.stringMatching(/^\d+$/)]);
  expect((await add({ "x-howdah-request": "1", origin: "https://elsewhere.example" })).status).toBe(403);
  expect((await add({})).status).toBe(403);
  expect(await (await get(`/api/v1/jobs/${id}`)).json()).toMatchObject({
    job: { task: "mounted", payload: { text: expect.stringContaining("ada") } },
  });

  await assertStreams(`${url}/api/v1/live?topics=overview`, headers);
}

/** Reads the first event of a stream, and leaves. */
async function assertStreams(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const leaving = new AbortController();
  const response = await fetch(url, { headers, signal: leaving.signal });
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!/^data: /m.test(text)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  leaving.abort();
  expect(text).toMatch(/^event: update$/m);
  expect(response.headers.get("content-type")).toContain("text/event-stream");
}
