import { once } from "node:events";
import { mkdtemp, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode, type TestProcess } from "../../harness/process.ts";

const MAIN = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** Starts `howdah admin` on any port, unless the arguments say another. */
function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<TestProcess> {
  const env = { DATABASE_URL: database.connectionString, HOWDAH_SCHEMA: undefined, ...environment };
  return startNode(MAIN, { args: ["admin", "--listen", "0", ...args], env });
}

/** The second word of a line that begins with a subject. */
async function said(child: TestProcess, subject: string): Promise<string> {
  return (await child.line(new RegExp(`^${subject} `))).slice(subject.length).trim();
}

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});

describe("howdah admin", () => {
  it("serves the page on 127.0.0.1 to the user with the password that it prints, and ends at SIGTERM", async () => {
    await using child = await start([]);
    const url = await said(child, "Page");
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect((await fetch(url)).status).toBe(401);
    const headers = basic(await said(child, "User"), await said(child, "Password"));
    const session = await fetch(`${url}api/v1/session`, { headers });
    expect(await session.json()).toMatchObject({ name: "admin", role: "admin", readOnly: false, schema: "howdah" });
    const page = await fetch(url, { headers });
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("<title>Howdah</title>")]);

    const stream = await fetch(`${url}api/v1/live?topics=overview`, { headers });
    expect(stream.status).toBe(200);
    child.kill("SIGTERM");
    expect(await child.ended).toEqual({ code: 0, signal: null });
    await stream.body?.cancel().catch(() => {});
  });

  it("takes the password of HOWDAH_ADMIN_SECRET and does not print it", async () => {
    await using child = await start(["--user", "ada"], { HOWDAH_ADMIN_SECRET: "correct horse" });
    const url = await said(child, "Page");
    await said(child, "Password");
    expect((await fetch(url, { headers: basic("ada", "correct horse") })).status).toBe(200);
    expect([...child.lines, ...child.errorLines].join("\n")).not.toContain("correct horse");
  });

  it("asks for nothing with --auth none on a loopback address, and refuses changes with --read-only", async () => {
    const args = ["--auth", "none", "--read-only", "--base-path", "/jobs/", "--environment", "staging", "--json"];
    await using child = await start(args);
    const line = JSON.parse(await child.line("{")) as { readonly url: string };
    expect(line).toEqual({ url: expect.stringMatching(/\/jobs\/$/), auth: "none", secret: null, readOnly: true });
    const session = await fetch(`${line.url}api/v1/session`);
    expect(await session.json()).toMatchObject({ readOnly: true, environment: { name: "staging" } });
    const headers = { "content-type": "application/json", "x-howdah-request": "1" };
    const added = await fetch(`${line.url}api/v1/jobs`, { method: "POST", headers, body: '{"task":"a"}' });
    expect(added.status).toBe(403);
  });

  it("knows the tasks of a module with --tasks", async () => {
    const folder = await mkdtemp(join(tmpdir(), "howdah-admin-"));
    await writeFile(join(folder, "tasks.mjs"), "export function mail() {}");
    await using child = await start(["--auth", "none", "--tasks", join(folder, "tasks.mjs")]);
    const url = await said(child, "Page");
    const isKnown = async (task: string): Promise<unknown> =>
      ((await (await fetch(`${url}api/v1/tasks/${task}/schema`)).json()) as { isKnown: unknown }).isKnown;
    expect([await isKnown("mail"), await isKnown("other")]).toEqual([true, false]);
  });

  it("answers with --auth none no page of another site that leads its name to this machine", async () => {
    await using child = await start(["--auth", "none"]);
    const { port } = new URL(await said(child, "Page"));
    const { request } = await import("node:http");
    const asked = request({ host: "127.0.0.1", port, path: "/api/v1/session", headers: { host: "evil.example" } });
    asked.end();
    const [response] = (await once(asked, "response")) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect(response.statusCode).toBe(403);
  });

  it("takes a token in a header, and in that of its own", async () => {
    await using bearer = await start(["--auth", "bearer", "--json"]);
    const one = JSON.parse(await bearer.line("{")) as { readonly url: string; readonly secret: string };
    expect(one.secret).toMatch(/^[\da-f]{48}$/);
    const headers = { authorization: `Bearer ${one.secret}` };
    expect((await fetch(`${one.url}api/v1/session`, { headers })).status).toBe(200);
    expect((await fetch(`${one.url}api/v1/session`)).status).toBe(401);

    await using header = await start(["--auth", "header", "--header", "x-team"]);
    const url = await said(header, "Page");
    const [, token = ""] = /^x-team: (\w+)$/.exec(await said(header, "Header")) ?? [];
    expect((await fetch(`${url}api/v1/session`, { headers: { "x-team": token } })).status).toBe(200);
    expect((await fetch(`${url}api/v1/session`, { headers: { "x-team": "other" } })).status).toBe(401);
  });

  it.each([
    ["no authentication where others reach it", ["--auth", "none", "--listen", "0.0.0.0:0"], /loopback/],
    ["a header that cannot be", ["--auth", "header", "--header", "no header"], /HOWDAH_OPTION_INVALID/],
    ["an unknown kind of authentication", ["--auth", "magic"], /basic, bearer, header, none/],
    ["what is no address", ["--listen", "127.0.0.1"], /127\.0\.0\.1:5678/],
    ["a base path that is none", ["--base-path", "jobs?"], /base/i],
    ["a path to hide that is none", ["--redact", "card["], /redact/],
  ])("refuses %s", async (_what, args, message) => {
    await using child = await start(args);
    expect(await child.ended).toEqual({ code: 2, signal: null });
    expect(child.errorLines.join("\n")).toMatch(message);
  });

  it("says that a port is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    await using child = await start(["--listen", `127.0.0.1:${port}`]);
    expect((await child.ended).code).toBe(2);
    expect(child.errorLines).toEqual([expect.stringContaining(`Nothing can listen on 127.0.0.1:${port}`)]);
    other.close();
  });

  it("makes no schema, unless it is asked to", async () => {
    await using empty = await createDatabase({ migrate: false });
    const environment = { DATABASE_URL: empty.connectionString };
    await using refused = await start([], environment);
    expect((await refused.ended).code).toBe(1);
    expect(refused.errorLines).toEqual([expect.stringContaining("HOWDAH_SCHEMA_MISSING")]);
    await using child = await start(["--migrate", "--auth", "none"], environment);
    const jobs = await fetch(`${await said(child, "Page")}api/v1/jobs`);
    expect(await jobs.json()).toMatchObject({ jobs: [] });
  });
});
