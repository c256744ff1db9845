import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { readAdminOptions } from "../../../src/admin/admin-options.ts";
import { AdminHost } from "../../../src/admin/create-admin.ts";
import { createAdmin, toNodeListener } from "../../../src/admin/index.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createManualClock } from "../../../src/testing/manual-clock.ts";
import { createDatabase } from "../../harness/database.ts";
import { createTestAdmin } from "../../harness/admin.ts";
import { openStream, readEvents } from "../../harness/event-stream.ts";

const authorize = () => ({ name: "ada", role: "admin" }) as const;

/** A driver that counts what is sent. */
function counting(driver: Driver): { readonly driver: Driver; sent: number } {
  const counted = { sent: 0, driver };
  counted.driver = new Proxy(driver, {
    get(target, name) {
      if (name === "query" || name === "transaction") counted.sent += 1;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return counted;
}

it("ten clients that follow the same topics cost the database what one does", async () => {
  await using database = await createDatabase();
  const costs: number[] = [];
  for (const clients of [1, 10]) {
    const clock = createManualClock();
    const counted = counting(database.driver);
    const client = clientOver({ ...database, driver: counted.driver, logger: silentLogger });
    await client.addJob("mail", {});
    const options = readAdminOptions({ client, authorize, logger: silentLogger });
    const admin = new AdminHost(options, { clock, pageFolder: "/none" });
    const topics = ["overview", "jobs?state=ready", "workers", "tasks"];
    const streams = await Promise.all(Array.from({ length: clients }, () => openStream(admin, topics)));
    const readAll = () =>
      Promise.all(
        streams.map(async (stream) => {
          for (const _ of topics) await stream.next();
        }),
      );
    await readAll();
    counted.sent = 0;
    for (let round = 0; round < 3; round += 1) {
      await clock.advance(2_000);
      await readAll();
    }
    costs.push(counted.sent);
    await admin.close();
    counted.sent = 0;
    await clock.advance(60_000);
    expect(counted.sent).toBe(0);
    await client.close();
  }
  expect(costs[0]).toBeGreaterThan(0);
  expect(costs[1]).toBe(costs[0]);
});

it("is told over HTTP as it happens, by a listener of Node, and ends with the admin API", async () => {
  await using database = await createDatabase();
  const client = clientOver({ ...database, logger: silentLogger });
  const admin = createAdmin({ client, authorize, logger: silentLogger });
  const server = createServer(toNodeListener(admin));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const over = { fetch: (request: Request) => fetch(request.url.replace("howdah.test", `127.0.0.1:${port}`)) };
  const stream = await openStream(over, ["jobs?state=ready"]);
  expect(stream.response.headers.get("content-type")).toBe("text/event-stream");
  expect(stream.response.headers.get("x-accel-buffering")).toBe("no");
  expect((await stream.next())?.data["body"].jobs).toEqual([]);
  const { id } = await client.addJob("mail", {});
  let event = await stream.next();
  while (event && !event.data["body"]) event = await stream.next();
  expect(event?.data["body"].jobs).toMatchObject([{ id, task: "mail" }]);
  await admin.close();
  let last = await stream.next();
  while (last) last = await stream.next();
  // Nothing holds the server open.
  await new Promise((resolve) => server.close(resolve));
  await client.close();
});

it("a topic that leads to the session by a detour says nothing of who follows it", async () => {
  await using test = await createTestAdmin();
  for (const topic of ["jobs/../session", "./session", "x/%2e%2e/session", "jobs\\..\\session", "ses\tsion"]) {
    const [event] = await readEvents(test.admin, [topic], 1);
    expect([topic, event?.data["body"], event?.data["problem"].status]).toEqual([topic, undefined, 404]);
  }
});

it("a question for the headers of the stream opens none", async () => {
  await using test = await createTestAdmin({ maxStreams: 1 });
  const head = new Request("http://howdah.test/api/v1/live?topics=overview", { method: "HEAD" });
  expect((await test.admin.fetch(head)).status).toBe(400);
  const stream = await openStream(test.admin, ["overview"]);
  expect(stream.response.status).toBe(200);
  await stream.close();
});
