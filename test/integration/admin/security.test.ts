import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { mkdtemp, mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readAdminOptions } from "../../../src/admin/admin-options.ts";
import { AdminHost } from "../../../src/admin/create-admin.ts";
import {
  type Authorize,
  basicAuth,
  bearerAuth,
  createAdmin,
  generateSecret,
  headerAuth,
  noAuth,
  toNodeListener,
} from "../../../src/admin/index.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { ask, createTestAdmin, type TestAdmin } from "../../harness/admin.ts";

const SECRET = "correct horse battery staple";

let test: TestAdmin;
beforeAll(async () => {
  test = await createTestAdmin();
});
afterAll(() => test[Symbol.asyncDispose]());

/** An admin API of the same database with other credentials. */
function adminWith(authorize: Authorize, options = {}) {
  return createAdmin({ client: test.client, logger: silentLogger, authorize, ...options });
}

/** The status, headers and bytes of a response. */
async function read(answer: Promise<Response>) {
  const response = await answer;
  return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
}

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});

const soon = (ms: number): Date => new Date(systemClock.now() + ms);

describe("credentials", () => {
  it("of basic, bearer and header let in those who have them, with their role", async () => {
    const cases = [
      [basicAuth({ name: "ada", password: SECRET, role: "read" }), basic("ada", SECRET), "ada", "read"],
      [bearerAuth({ token: SECRET }), { authorization: `bearer ${SECRET.replaceAll(" ", "")}` }, undefined, undefined],
      [bearerAuth({ token: "t0ken", name: "ci" }), { authorization: "Bearer t0ken" }, "ci", "operate"],
      [headerAuth({ header: "x-admin", value: SECRET, role: "admin" }), { "x-admin": SECRET }, "x-admin", "admin"],
    ] as const;
    for (const [authorize, headers, name, role] of cases) {
      const { json, status } = await ask(adminWith(authorize), "/api/v1/session", { headers });
      expect([status, json["name"], json["role"]]).toEqual([name === undefined ? 401 : 200, name, role]);
    }
  });

  it.each([
    ["missing", {}],
    ["of another kind", { authorization: `Bearer ${SECRET}` }],
    ["a wrong password", basic("ada", `${SECRET}!`)],
    ["an empty password", basic("ada", "")],
    ["a wrong name", basic("eve", SECRET)],
    ["no name", basic("", SECRET)],
    ["the name of another with one's password", basic("bob", SECRET)],
    ["no base64", { authorization: "Basic ???" }],
    ["too long", { authorization: `Basic ${"A".repeat(5_000)}` }],
    ["expired", basic("old", SECRET)],
  ])("that are %s are refused, with the same answer", async (_, headers) => {
    const admin = adminWith(
      basicAuth([
        { name: "ada", password: SECRET },
        { name: "bob", password: "another" },
        { name: "old", password: SECRET, expires: soon(-1) },
      ]),
    );
    const { status, json, headers: answered } = await ask(admin, "/api/v1/jobs", { headers });
    expect(status).toBe(401);
    expect(answered.get("www-authenticate")).toBe('Basic realm="Howdah", charset="UTF-8"');
    expect(json).toMatchObject({ code: "HOWDAH_ADMIN_UNAUTHENTICATED", title: "Not signed in" });
    // People who open the page read a text.
    const page = await ask(admin, "/queues", { headers });
    expect([page.status, page.headers.get("content-type")]).toEqual([401, "text/html; charset=utf-8"]);
    expect(page.text).toContain("Sign in");
  });

  it("that have expired meanwhile are refused", async () => {
    let now = 0;
    const admin = adminWith(bearerAuth({ token: "t", expires: new Date(1_000) }, { clock: { now: () => now } }));
    const headers = { authorization: "Bearer t" };
    expect((await ask(admin, "/api/v1/session", { headers })).status).toBe(200);
    now = 1_000;
    expect((await ask(admin, "/api/v1/session", { headers })).status).toBe(401);
  });

  it.each([
    () => basicAuth({ name: "ada", password: "" }),
    () => basicAuth([]),
    () => basicAuth({ name: "ada", password: "x" }, { realm: 'a"b' }),
    () => bearerAuth({ token: "" }),
    () => headerAuth({ header: "no header", value: "x" }),
    () => headerAuth({ header: "x-admin", value: "" }),
    () => bearerAuth({ token: "x", expires: "tomorrow" }),
    () => bearerAuth({ token: "x", role: "root" as "admin" }),
    // The record could not tell them apart, and would show the one what the other did.
    () =>
      bearerAuth([
        { token: "x", tasks: ["a"] },
        { token: "y", tasks: ["b"] },
      ]),
    () =>
      headerAuth([
        { header: "x-admin", value: "x" },
        { header: "x-admin", value: "y", role: "read" },
      ]),
    () => createAdmin({ client: test.client } as Parameters<typeof createAdmin>[0]),
    () => createAdmin({ client: { ...test.client }, authorize: noAuth() }),
    () => adminWith(noAuth(), { basePath: '/a"b' }),
    () => adminWith(noAuth(), { frameAncestors: ["https://a.test; script-src *"] }),
    () => adminWith(noAuth(), { secret: "short" }),
  ])("and options that cannot be meant are refused at the start: %#", (make) => {
    expect(make).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }));
  });

  it("are made of 24 random bytes", () => {
    expect(generateSecret()).toMatch(/^[0-9a-f]{48}$/);
    expect(generateSecret()).not.toBe(generateSecret());
  });

  it("are asked of everything: the page, its files, the description and the live stream", async () => {
    const admin = adminWith(basicAuth({ name: "ada", password: SECRET }));
    for (const path of ["/", "/jobs", "/assets/x.js", "/api/v1/openapi.json", "/api/v1/live?topics=overview", "/api/x"])
      expect([path, (await ask(admin, path)).status]).toEqual([path, 401]);
  });

  it("that authorize cannot judge let no request in, and say nothing of why", async () => {
    const log: string[] = [];
    const keep = (message: string, fields?: { readonly error?: Error }) =>
      void log.push(`${message} ${String(fields?.error?.cause)}`);
    const logger = { ...silentLogger, error: keep };
    for (const authorize of [
      () => {
        throw new Error("ldap://secret is down");
      },
      () => ({ name: "ada", role: "root" }) as never,
      () => undefined as never,
    ]) {
      const { status, text } = await ask(adminWith(authorize, { logger }), "/api/v1/session");
      expect(status).toBe(500);
      expect(text).not.toContain("ldap");
    }
    expect(log[0]).toContain("ldap://secret is down");
  });

  it("a Response of authorize is the answer, with our headers", async () => {
    const admin = adminWith(
      () => new Response("go away", { status: 302, headers: { location: "https://login.test/" } }),
    );
    const { status, text, headers } = await ask(admin, "/");
    expect([status, text, headers.get("location")]).toEqual([302, "go away", "https://login.test/"]);
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
  });
});

describe("no authentication", () => {
  it.each([
    ["127.0.0.1", "localhost:4000", 200],
    ["::1", "[::1]:4000", 200],
    ["::ffff:127.0.0.1", "127.0.0.1", 200],
    ["192.168.1.7", "localhost:4000", 403],
    ["127.0.0.1", "evil.test", 403],
    ["127.0.0.1", "localhost.evil.test", 403],
    ["127.0.0.1.evil", "localhost", 403],
    [undefined, "localhost", 403],
  ])("from %s to %s answers %i", async (remoteAddress, host, status) => {
    const request = new Request("http://localhost/api/v1/session", { headers: { host } });
    // A Request of undici drops no host that is given.
    expect(request.headers.get("host")).toBe(host);
    expect((await adminWith(noAuth()).fetch(request, { remoteAddress })).status).toBe(status);
  });

  it.each(["x-forwarded-for", "forwarded", "x-real-ip", "via"])(
    "is refused to who asks through a proxy: %s",
    async (name) => {
      const headers = { host: "127.0.0.1:5678", [name]: "203.0.113.7" };
      const request = new Request("http://127.0.0.1:5678/api/v1/session", { headers });
      expect((await adminWith(noAuth()).fetch(request, { remoteAddress: "127.0.0.1" })).status).toBe(403);
    },
  );
});

describe("a change", () => {
  const change = (headers: Record<string, string>) =>
    test.ask("/api/v1/tasks/mail/pause", { method: "POST", body: {}, headers });

  it("needs the header that no form can send", async () => {
    const { status, json } = await change({ "x-howdah-request": "" });
    expect([status, json["code"]]).toEqual([403, "HOWDAH_ADMIN_CROSS_ORIGIN"]);
    expect(json["detail"]).toContain("x-howdah-request: 1");
  });

  it.each([
    [{ "sec-fetch-site": "cross-site" }, 403],
    [{ "sec-fetch-site": "same-site" }, 403],
    [{ "sec-fetch-site": "cross-site", origin: "http://howdah.test" }, 403],
    [{ origin: "https://evil.test" }, 403],
    [{ origin: "null" }, 403],
    [{ origin: "http://howdah.test.evil.test" }, 403],
    [{ origin: "http://howdah.test:81" }, 403],
    // Only with trustProxy.
    [{ origin: "https://evil.test", "x-forwarded-host": "evil.test" }, 403],
    [{ origin: "http://howdah.test" }, 200],
    [{ origin: "https://howdah.test" }, 200],
    [{ "sec-fetch-site": "same-origin" }, 200],
    [{}, 200],
  ])("of %j answers %i", async (headers, status) => {
    expect((await change(headers as Record<string, string>)).status).toBe(status);
  });

  it("behind a proxy that is trusted is one of the host that it names", async () => {
    const admin = adminWith(() => ({ name: "a", role: "admin" }), { trustProxy: true });
    const at = (origin: string) =>
      ask(admin, "/api/v1/tasks/mail/pause", { body: {}, headers: { origin, "x-forwarded-host": "ops.test" } });
    expect((await at("https://ops.test")).status).toBe(200);
    expect((await at("http://howdah.test")).status).toBe(403);
  });

  it("cannot be made by GET", async () => {
    expect((await test.ask("/api/v1/tasks/mail/pause")).status).toBe(404);
  });

  it("is refused where the API is read-only, whatever the role", async () => {
    const admin = adminWith(() => ({ name: "a", role: "admin" }), { readOnly: true });
    const { status, json } = await ask(admin, "/api/v1/tasks/mail/pause", { body: {} });
    expect([status, json["code"]]).toEqual([403, "HOWDAH_ADMIN_READ_ONLY"]);
    expect((await ask(admin, "/api/v1/session")).json["readOnly"]).toBe(true);
  });
});

describe("a read", () => {
  it("of another site is refused too, as is every method but GET and POST", async () => {
    expect((await test.ask("/api/v1/jobs", { headers: { "sec-fetch-site": "cross-site" } })).status).toBe(403);
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS"])
      expect([method, (await test.ask("/api/v1/jobs", { method })).status]).toEqual([method, 404]);
  });

  it("a link of another site opens the page", async () => {
    const { status } = await test.ask("/jobs/42", { headers: { "sec-fetch-site": "cross-site" } });
    expect(status).toBe(503);
  });
});

describe("headers", () => {
  it("of every answer allow nothing from elsewhere, and nothing inline", async () => {
    for (const path of ["/", "/api/v1/session", "/api/v1/none", "/assets/none.js"]) {
      const { headers } = await test.ask(path);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toMatch(/unsafe|\*|https?:/);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("access-control-allow-origin")).toBeNull();
    }
  });

  it("name the sites that may frame the page", async () => {
    const admin = adminWith(() => ({ name: "a", role: "read" }), { frameAncestors: ["https://intranet.test"] });
    const { headers } = await ask(admin, "/");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors https://intranet.test");
    expect(headers.get("x-frame-options")).toBeNull();
  });
});

describe("files of the page", () => {
  let admin: AdminHost;
  let folder: string;
  beforeAll(async () => {
    folder = join(await mkdtemp(join(tmpdir(), "howdah-page-")), "page");
    await mkdir(join(folder, "assets"), { recursive: true });
    await writeFile(join(folder, "index.html"), "<!doctype html><html><head><title>Howdah</title></head></html>");
    await writeFile(join(folder, "assets/main-1a2b.js"), "export {};");
    await writeFile(join(folder, "..", "secret.txt"), "secret");
    const options = { client: test.client, logger: silentLogger, trustProxy: true, basePath: "/ops" };
    const authorize: Authorize = () => ({ name: 'a"><script>', role: "read" });
    admin = new AdminHost(readAdminOptions({ ...options, authorize }), { clock: systemClock, pageFolder: folder });
  });

  it("are served with their type, and kept for a year when their name has a hash", async () => {
    const { status, headers, text } = await ask(admin, "/ops/assets/main-1a2b.js");
    expect([status, text, headers.get("content-type")]).toEqual([200, "export {};", "text/javascript; charset=utf-8"]);
    expect(headers.get("cache-control")).toContain("immutable");
    const again = await ask(admin, "/assets/main-1a2b.js", { headers: { "if-none-match": headers.get("etag") ?? "" } });
    expect(again.status).toBe(304);
    expect((await ask(admin, "/ops/assets/main-1a2b.js", { method: "HEAD" })).text).toBe("");
  });

  it("are compressed for browsers that take it, each encoding under a tag of its own", async () => {
    const path = "/assets/main-1a2b.css";
    const text = ".howdah { color: teal }\n".repeat(100);
    await writeFile(join(folder, path), text);
    const options = readAdminOptions({
      client: test.client,
      logger: silentLogger,
      authorize: () => ({ name: "a", role: "read" }),
    });
    const fresh = new AdminHost(options, { clock: systemClock, pageFolder: folder });
    const get = (headers: Record<string, string>) => fresh.fetch(new Request(`http://howdah.test${path}`, { headers }));
    const tags = new Set<string | null>();
    for (const [encoding, decode] of [
      ["br", brotliDecompressSync],
      ["gzip", gunzipSync],
    ] as const) {
      const { status, headers, ...response } = await read(get({ "accept-encoding": encoding }));
      expect([status, headers.get("content-encoding"), headers.get("vary")]).toEqual([
        200,
        encoding,
        "accept-encoding",
      ]);
      expect(String(decode(response.body))).toBe(text);
      const tag = headers.get("etag") ?? "";
      expect((await get({ "accept-encoding": encoding, "if-none-match": tag })).status).toBe(304);
      tags.add(tag);
    }
    const plain = await read(get({}));
    expect([String(plain.body), plain.headers.get("content-encoding")]).toEqual([text, null]);
    expect(tags.add(plain.headers.get("etag")).size).toBe(3);
    expect(plain.headers.get("content-security-policy")).toContain("default-src 'none'");
  });

  it("are shown without credentials where a browser does not ask for them, without a session", async () => {
    const authorize = bearerAuth({ token: "t" });
    const options = readAdminOptions({ client: test.client, logger: silentLogger, authorize });
    const open = new AdminHost(options, { clock: systemClock, pageFolder: folder });
    const page = await ask(open, "/jobs");
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('<base href="/"><title>')]);
    expect((await ask(open, "/assets/main-1a2b.js")).status).toBe(200);
    for (const path of ["/api/v1/session", "/api/v1/openapi.json", "/api/v1/live?topics=overview"])
      expect((await ask(open, path)).status).toBe(401);
  });

  it.each([
    "/ops/../secret.txt",
    "/ops/assets/..%2f..%2fsecret.txt",
    "/ops/%2e%2e/secret.txt",
    "/ops/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
    "/ops/..%5csecret.txt",
    "/ops//etc/passwd.txt",
    "/ops/assets/../../../../etc/passwd.txt",
    "/ops/%00secret.txt",
    "/ops/assets/%E0%A4%A",
    "/ops/package.json",
  ])("leave no way out of their folder: %s", async (path) => {
    const { status, text } = await ask(admin, path);
    expect([200, 404]).toContain(status);
    expect(text).not.toContain("secret\n");
    expect(text).not.toMatch(/^secret$|root:/);
  });

  it("the page knows where it is, and who asks, and nothing ends its attributes", async () => {
    for (const path of ["/ops", "/ops/", "/ops/queues/mail", "/"]) {
      const { status, text, headers } = await ask(admin, path);
      expect([path, status, headers.get("location")]).toEqual([path, 200, null]);
      expect(text).toContain(
        '<head><base href="/ops/"><meta name="howdah" content="{&quot;name&quot;:&quot;a\\&quot;&gt;&lt;script&gt;&quot;',
      );
      expect(text).not.toContain("<script");
    }
  });

  it.each([
    ["/proxied", "/proxied/ops/"],
    ["/ops", "/ops/"],
    ['/"><script>alert(1)</script>', "/ops/"],
    ["//evil.test", "/ops/"],
    ["https://evil.test", "/ops/"],
    ["/a/../b", "/ops/"],
    ["javascript:alert(1)", "/ops/"],
  ])("the forwarded prefix %s makes %s", async (prefix, base) => {
    const { text, headers } = await ask(admin, "/jobs", { headers: { "x-forwarded-prefix": prefix } });
    expect(text).toContain(`<base href="${base}">`);
    expect(JSON.stringify([...headers])).not.toMatch(/evil|script>/);
  });
});

describe("headers of a request", () => {
  it("cannot put others into the answer", async () => {
    const raw = await answerOf(
      test.admin,
      "GET /api/v1/session HTTP/1.1\r\nHost: a\r\nX-Forwarded-Prefix: /x%0d%0aSet-Cookie: a=b\r\n\r\n",
    );
    expect(raw).not.toMatch(/set-cookie/i);
    const { headers } = await test.ask("/api/v1/queues/%0d%0aset-cookie:a=b");
    expect([...headers.keys()]).not.toContain("set-cookie");
  });
});

describe("a body", () => {
  const post = (body: string, headers = {}) => test.ask("/api/v1/jobs", { method: "POST", body, headers });

  it("that is too large is refused, with the length and without it", async () => {
    const large = JSON.stringify({ task: "mail", payload: `"${"x".repeat(1_100_000)}"` });
    const { status, json } = await post(large);
    expect([status, json["code"]]).toEqual([413, "HOWDAH_ADMIN_TOO_LARGE"]);
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 65_536;
        controller.enqueue(new Uint8Array(65_536).fill(32));
      },
    });
    const init = { method: "POST", body: endless, duplex: "half", headers: { "x-howdah-request": "1" } };
    const response = await test.admin.fetch(new Request("http://howdah.test/api/v1/jobs", init as RequestInit));
    expect(response.status).toBe(413);
    expect(sent).toBeLessThan(2_000_000);
  });

  it.each([
    ["no JSON", "{", {}],
    ["of a form", "task=mail", { "content-type": "application/x-www-form-urlencoded" }],
    ["with a name that is not known", '{"task":"mail","taks":1}', {}],
    ["a list", "[]", {}],
    ["a payload that is no JSON", '{"task":"mail","payload":"{"}', {}],
    ["a number that would be rounded", '{"task":"mail","payload":"{\\"n\\":12345678901234567890}"}', {}],
    ["a job key mode without a key", '{"task":"mail","jobKeyMode":"replace"}', {}],
    ["of prototypes", '{"task":"mail","__proto__":{"role":"admin"}}', {}],
  ])("that is %s is refused with the place", async (_, body, headers) => {
    const { status, json } = await post(body, headers);
    expect(status).toBe(400);
    expect(json["code"]).toMatch(/HOWDAH_(ADMIN_REQUEST|OPTION|JOB|PAYLOAD)_INVALID/);
    expect((await test.client.listJobs({ task: "mail" })).jobs).toEqual([]);
  });

  it.each([
    "limit=-1",
    "limit=0",
    "limit=9999",
    "limit=x",
    "offset=-1",
    "state=gone",
    "since=yesterday",
    "after=!!!",
    "payload={",
  ])("and a query %s too", async (query) => {
    const { status, json } = await test.ask(`/api/v1/jobs?${query}`);
    expect(status).toBe(400);
    expect(json["detail"]).toMatch(/limit|offset|state|since|payload|after/);
  });

  it.each([
    ["activity?before=9999999999999999999", undefined],
    ["activity?jobId=9999999999999999999", undefined],
    ["queues/a%00b/lock", undefined],
    ["queues?search=a%00b", undefined],
    ["queues?after=a%00b", undefined],
    ["tasks/a%00b/pause", "{}"],
    ["queues/a%00b/pause", "{}"],
    ["workers/unlock", '{"workerIds":["a\\u0000"]}'],
    ["jobs", '{"task":"a\\u0000b"}'],
    ["jobs", '{"task":"mail","queueName":"a\\ud800b"}'],
    ["jobs", '{"task":"mail","jobKey":"a\\u0000b"}'],
    ["jobs/actions", '{"action":"fail","ids":["1"],"reason":"a\\u0000b"}'],
    ["jobs/actions", '{"action":"fail","ids":["1"],"reason":"a\\udfffb"}'],
  ])("that PostgreSQL cannot store is the fault of who asks: %s %s", async (path, body) => {
    const known = test.log.length;
    const { status } = await test.ask(`/api/v1/${path}`, body === undefined ? {} : { body });
    expect([status, test.log.slice(known)]).toEqual([400, []]);
  });

  it("that is no UTF-8 is the fault of who asks", async () => {
    const headers = { "x-howdah-request": "1", "content-type": "application/json" };
    const init = { method: "POST", headers, body: new Uint8Array([0x7b, 0xff, 0x7d]) };
    const response = await test.admin.fetch(new Request("http://howdah.test/api/v1/jobs", init));
    expect(response.status).toBe(400);
  });

  it("of a preview with a long reason makes a token that is taken", async () => {
    const ids = await Promise.all(Array.from({ length: 50 }, async () => (await test.client.addJob("token", {})).id));
    const { json } = await test.ask("/api/v1/jobs/preview", {
      body: { action: "fail", ids, reason: "\u0001".repeat(10_000) },
    });
    expect(json["token"].length).toBeGreaterThan(100_000);
    expect((await test.ask("/api/v1/operations", { body: { token: json["token"] } })).status).toBe(202);
  });

  it("that comes too slowly is given up, and others are answered meanwhile", async () => {
    const timers: { ms: number; callback: () => void }[] = [];
    const clock = {
      ...systemClock,
      setTimer: (ms: number, callback: () => void) => {
        timers.push({ ms, callback });
        return { cancel: () => undefined };
      },
    };
    const options = {
      client: test.client,
      logger: silentLogger,
      authorize: () => ({ name: "a", role: "admin" }) as const,
    };
    const admin = new AdminHost(readAdminOptions(options), { clock, pageFolder: "/none" });
    const slow = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(Buffer.from("{")) });
    const init = { method: "POST", body: slow, duplex: "half", headers: { "x-howdah-request": "1" } };
    const pending = admin.fetch(new Request("http://howdah.test/api/v1/jobs", init as RequestInit));
    expect((await ask(admin, "/api/v1/session")).status).toBe(200);
    await expect.poll(() => timers.some(({ ms }) => ms === 30_000)).toBe(true);
    for (const { ms, callback } of timers) if (ms === 30_000) callback();
    expect((await pending).status).toBe(413);
  });
});

describe("the log", () => {
  it("has a line for each change, and no payload, password or token", async () => {
    await using own = await createTestAdmin({ authorize: basicAuth({ name: "ada", password: SECRET, role: "admin" }) });
    const headers = basic("ada", SECRET);
    const { json } = await own.ask("/api/v1/jobs", {
      headers,
      body: { task: "mail", payload: '{"card":"4111111111111111"}' },
    });
    await own
      .ask("/api/v1/jobs/preview", {
        headers,
        body: { action: "cancel", filter: { task: "mail", payload: '{"card":"4111111111111111"}' } },
      })
      .then(({ json: preview }) => own.ask("/api/v1/operations", { headers, body: { token: preview["token"] } }));
    await own.ask("/api/v1/session", { headers: basic("ada", "wrong password") });
    await own.ask("/api/v1/jobs", { headers, body: { task: "mail", payload: "4111111111111111 no JSON" } });
    const log = own.log.join("\n");
    expect(log).toContain(`jobs.add through the admin API: done {"who":"ada"`);
    expect(log).not.toMatch(/4111|horse|wrong password|authorization/i);
    expect(json["id"]).toBeDefined();
    const audit = await own.database.sql("select who, action, target, outcome from howdah._howdah_audit order by id");
    expect(JSON.stringify(audit)).not.toMatch(/4111|horse/);
    expect(audit).toMatchObject([
      { who: "ada", action: "jobs.add", outcome: "done" },
      { who: "ada", action: "operations.start", outcome: "done", target: { filter: { task: "mail", payload: true } } },
    ]);
  });
});

describe("an error of the database", () => {
  it("is told in words for people, without its statement, and logged under the id of the request", async () => {
    await using own = await createTestAdmin();
    await own.database.sql("alter table howdah._howdah_operations rename to gone_operations");
    const { status, json } = await own.ask("/api/v1/operations");
    expect(status).toBe(500);
    expect(json["detail"]).toMatch(/^Internal server error/);
    expect(JSON.stringify(json)).not.toMatch(/_howdah_operations|relation/);
    expect(own.log.join("\n")).toContain(json["instance"]);
  });

  it("names the id of what is not there", async () => {
    const job = await test.ask("/api/v1/jobs/424242");
    expect([job.status, job.json["code"], job.json["detail"]]).toEqual([
      404,
      "HOWDAH_JOB_UNKNOWN",
      expect.stringContaining("424242"),
    ]);
    expect((await test.ask("/api/v1/queues/none")).status).toBe(404);
    expect((await test.ask("/api/v1/operations/424242")).status).toBe(404);
    expect((await test.ask("/api/v1/nothing")).json["code"]).toBe("HOWDAH_ADMIN_NOT_FOUND");
  });
});

/** What a server answers to bytes as they are. */
async function answerOf(handler: Parameters<typeof toNodeListener>[0], bytes: string): Promise<string> {
  const server: Server = createServer(toNodeListener(handler));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.end(bytes);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  server.close();
  return answer;
}
