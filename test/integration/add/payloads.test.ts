import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import type { Job } from "../../../src/job/job.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { BULK_ADDS } from "../../harness/bulk-adds.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs");
});

afterAll(async () => {
  await database.drop();
});

/** What is promised for a payload holds in single and bulk alike. */
const ways = {
  addJob: (payload: unknown): Promise<Job> => client.addJob("task", payload),
  ...Object.fromEntries(
    BULK_ADDS.map(([name, addAll]) => [
      name,
      async (payload: unknown): Promise<Job> => {
        const [, job] = await addAll(client, [{ identifier: "beside" }, { identifier: "task", payload }]);
        return job as Job;
      },
    ]),
  ),
};

describe.each(Object.entries(ways))("a payload given to %s comes back as it was", (_name, add) => {
  const payloads: Record<string, unknown> = {
    "with NUL bytes": { text: "a\0b", "key\0": 1 },
    "with halves of surrogate pairs": { text: "\ud800", other: "\udfff!", pair: "\u{1f600}" },
    "with quotes, backslashes and control characters": '"\\\\" {a,b} \u0001\n\r\t\u2028 null',
    "with array syntax": ["{}", '{"a"}', "null", null, [], {}],
    "with large and small numbers": [1e308, 5e-324, -0.1, Number.MAX_SAFE_INTEGER],
    "with a key called __proto__": JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}'),
    "of a thousand levels": nested(1_000),
  };

  it.each(Object.entries(payloads))("%s", async (_what, payload) => {
    const job = await add(payload);
    expect(JSON.stringify(job.payload)).toBe(JSON.stringify(payload));
    const found = await client.getJob(job.id);
    expect(JSON.stringify(found?.payload)).toBe(JSON.stringify(payload));
  });

  it("as what its toJSON says", async () => {
    const job = await add({ at: new Date(0), hidden: { toJSON: () => "shown" }, skipped: undefined });
    expect(job.payload).toEqual({ at: "1970-01-01T00:00:00.000Z", hidden: "shown" });
  });

  it("with 50 MB", async () => {
    const payload = { text: '"\\é'.repeat(10_000_000) };
    const job = await add(payload);
    expect((job.payload as typeof payload).text === payload.text).toBe(true);
    const [row] = await database.sql(
      "select octet_length(payload::text) as bytes from howdah._private_jobs where id = $1",
      [job.id],
    );
    expect(Number(row?.["bytes"])).toBeGreaterThan(50_000_000);
  });

  it("or is refused with a code when it is too large to be sent", async () => {
    const refused = add("x".repeat(140_000_000));
    await expect(refused).rejects.toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID", message: /134 MiB.*128 MiB/ });
    expect((await client.listJobs()).jobs).toEqual([]);
  });

  it("or is refused with a code when it has more levels than the stack", async () => {
    await expect(add(nested(200_000))).rejects.toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID" });
    expect((await client.listJobs()).jobs).toEqual([]);
  });
});

it("a payload of more levels than PostgreSQL reads is refused with a code, in single and bulk alike", async () => {
  const session = await database.connect();
  await session.query("set max_stack_depth = '100kB'");
  const inside = client.inTransaction(session);
  const refused = { code: "HOWDAH_PAYLOAD_INVALID" };
  await expect(inside.addJob("task", nested(1_500))).rejects.toMatchObject(refused);
  for (const [, addAll] of BULK_ADDS) {
    await expect(addAll(inside, [{ identifier: "task", payload: nested(1_500) }])).rejects.toMatchObject(refused);
  }
  expect((await client.listJobs()).jobs).toEqual([]);
});

function nested(levels: number): unknown {
  let value: unknown = "core";
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}
