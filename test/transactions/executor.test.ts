import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient, executor, silentLogger } from "../../src/index.ts";
import { FramedTransaction } from "../../src/postgres/transactions/framed-transaction.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";

let database: TestDatabase;
let client: Client;
let connection: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  const { connectionString } = database;
  client = await createClient({ connectionString, migrate: false, logger: silentLogger });
  connection = new pg.Client({ connectionString });
  await connection.connect();
});

afterAll(async () => {
  await connection.end();
  await client.close();
  await database.drop();
});

describe("executor()", () => {
  it.each([undefined, null, {}, "query", 1])("takes a function, not %j", (given) => {
    expect(() => executor(given as never)).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }));
  });

  it.each<[string, (answer: pg.QueryResult<pg.QueryResultRow>) => unknown]>([
    ["nothing", () => undefined],
    ["the answer of the library", (answer) => answer],
    ["rows as lists", ({ rows }) => rows.map((row) => Object.values(row))],
    ["rows in another shape", ({ rows }) => rows.map((row) => ({ row }))],
    ["values that were parsed", ({ rows }) => rows.map(() => ({ howdah: ["1"] }))],
  ])("is told what is wrong before anything is changed when its function answers %s", async (_what, toAnswer) => {
    await connection.query("begin");
    const wrong = executor(async (text, values) => toAnswer(await connection.query(text, values)) as never);
    await expect(client.inTransaction(wrong).addJob("task", {})).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
      message: expect.stringContaining('the text of the column "howdah"'),
    });
    await connection.query("commit");
    expect((await client.listJobs()).jobs).toEqual([]);
  });

  it("passes the error of its library on", async () => {
    const failing = executor(() => Promise.reject(new Error("the library says so")));
    await expect(client.inTransaction(failing).addJob("task", {})).rejects.toMatchObject({
      cause: expect.objectContaining({ message: "the library says so" }),
    });
  });
});

describe("what a framed statement answers", () => {
  it("is what PostgreSQL was given, whatever is in it", async () => {
    const run = async (text: string, values: (string | null)[]): Promise<unknown> =>
      (await connection.query(text, values)).rows;
    const framed = new FramedTransaction({ name: "pg", run });
    // PostgreSQL stores no NUL, and half a surrogate pair is no character.
    const text = fc.string({ unit: "grapheme" }).filter((given) => !given.includes("\0") && given.isWellFormed());
    const cell = fc.option(fc.oneof(text, fc.stringMatching(/^["\\(), \t\n{}']{0,8}$/)), { nil: null });
    await fc.assert(
      fc.asyncProperty(cell, cell, async (first, second) => {
        const query = { text: "select $1::text, $2::text, null, '' union all select 'end', $1::text, '(', ','" };
        expect((await framed.query({ ...query, values: [first, second] })).rows).toEqual([
          [first, second, null, ""],
          ["end", first, "(", ","],
        ]);
      }),
      { numRuns: 300 },
    );
  });
});
