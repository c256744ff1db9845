import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient, migrate, silentLogger } from "../../../src/index.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase({ migrate: false });
});

afterAll(async () => {
  await database.drop();
});

describe("migrate()", () => {
  it("makes a schema that clients use without migrating, and does nothing the second time", async () => {
    const options = { connectionString: database.connectionString, schema: "My Schema", logger: silentLogger };
    const first = await migrate(options);
    expect(first.applied.length).toBe(first.revision);
    expect(await migrate(options)).toEqual({ revision: first.revision, applied: [] });

    const client = await createClient({ ...options, migrate: false });
    await expect(client.addJob("t")).resolves.toMatchObject({ task: "t" });
    await client.close();
  });

  it("refuses an option that it does not know", async () => {
    await expect(migrate({ conectionString: "postgres://x" } as never)).rejects.toMatchObject({
      code: "HOWDAH_OPTION_UNKNOWN",
      message: expect.stringContaining("did you mean `connectionString`"),
    });
  });
});
