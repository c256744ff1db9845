import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";
import { addTo, emptyFlow } from "../../harness/flow.ts";
import { runCli } from "../../harness/run-cli.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => emptyFlow(database));

const rules = (...args: string[]) => runCli(["rules", ...args, "--database-url", database.connectionString]);

describe("howdah rules", () => {
  it("sets, lists and removes what the library does", async () => {
    expect(await rules("set-pool", "api", "--concurrency", "50")).toMatchObject({
      code: 0,
      out: 'The pool "api" is set.\n',
    });
    const options = ["--concurrency", "5", "--rate", "100/m", "--burst", "20", "--share", "2", "--pool", "api"];
    expect((await rules("set", "tenant:*", ...options)).out).toBe('The rules of "tenant:*" are set.\n');
    expect((await rules("set", "tenant:*", ...options)).out).toBe('The rules of "tenant:*" were like that.\n');
    const { out } = await rules("list", "--json");
    expect(JSON.parse(out)).toMatchObject({
      rules: [
        {
          pattern: "tenant:*",
          concurrency: 5,
          rate: { limit: 100, per: "1m", burst: 20 },
          share: 2,
          pool: "api",
          isDeclared: false,
        },
      ],
      pools: [{ name: "api", concurrency: 50 }],
    });
    expect(await rules("remove-pool", "api")).toMatchObject({ code: 1 });
    expect((await rules("remove", "tenant:*")).out).toBe('The rules of "tenant:*" are removed.\n');
    expect((await rules("remove", "tenant:*")).out).toBe('There were no rules of "tenant:*".\n');
    expect((await rules("remove-pool", "api")).out).toBe('The pool "api" is removed.\n');
    expect((await rules("remove-pool", "api")).out).toBe('There was no pool "api".\n');
  });

  it("says that queues wait for the end of their jobs", async () => {
    await addTo(database, "q");
    await rules("set", "q", "--concurrency", "unlimited");
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'w'");
    const { out, error } = await rules("remove", "q");
    expect([out, error]).toEqual([
      'The rules of "q" are removed.\n',
      "Some queues still run jobs: they get their rules when these have ended.\n",
    ]);
  });

  it.each([
    [["sett", "q"], /Unknown action "sett", did you mean `set`\?/],
    [["set"], /Name the queue or pattern/],
    [["set", "q"], /must say something/],
    [["set", "q", "--rate", "many"], /such as 100\/1m/],
    [["set", "q", "--burst", "3"], /--burst goes with --rate/],
    [["set-pool", "p", "--share", "3"], /Option --share does not go with `howdah rules set-pool`/],
    [["set", "q", "--concurrency", "some"], /must be a whole number from 1 to 1000, or "unlimited"/],
  ])("refuses %j", async (args, message) => {
    const { code, error } = await rules(...args);
    expect(code).not.toBe(0);
    expect(error).toMatch(message);
  });
});
