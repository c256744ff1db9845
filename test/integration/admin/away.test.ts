import { expect, it } from "vitest";
import { createAdmin } from "../../../src/admin/index.ts";
import { createClient } from "../../../src/index.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { ask } from "../../harness/admin.ts";
import { createDatabase } from "../../harness/database.ts";
import { openProxy } from "../../harness/proxy.ts";
import { until } from "../../harness/until.ts";

it("says that the database is away, without naming it, and answers again once it is back", async () => {
  await using database = await createDatabase();
  await using proxy = await openProxy(database.connectionString);
  const client = await createClient({ connectionString: proxy.connectionString, migrate: false, logger: silentLogger });
  const admin = createAdmin({
    client,
    logger: silentLogger,
    authorize: () => ({ name: "ada", role: "admin" }),
  });
  await client.addJob("mail");
  const paths = ["/api/v1/jobs", "/api/v1/overview", "/api/v1/tasks", "/api/v1/workers"];
  const statuses = () => Promise.all(paths.map(async (path) => (await ask(admin, path)).status));
  expect(await statuses()).toEqual([200, 200, 200, 200]);
  proxy.refuse();
  const { status, json, text } = await until(async () => {
    const answer = await ask(admin, "/api/v1/jobs");
    return answer.status === 200 ? undefined : answer;
  });
  expect([status, json["detail"]]).toEqual([503, expect.stringContaining("cannot be reached at the moment")]);
  expect(text).not.toContain("127.0.0.1");
  proxy.allow();
  await until(async () => (await statuses()).every((one) => one === 200), { deadlineMs: 15_000 });
  expect((await ask(admin, "/api/v1/jobs")).json["jobs"]).toHaveLength(1);
  await admin.close();
  await client.close();
}, 60_000);
