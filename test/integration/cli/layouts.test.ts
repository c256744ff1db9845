import { afterAll, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";
import { foreignSchemaSql } from "../../harness/foreign-schema.ts";
import { runCli } from "../../harness/run-cli.ts";

const database = await createDatabase({ migrate: false });
afterAll(() => database.drop());

let schemaCount = 0;

/** The options of a command on a schema of its own that graphile-worker made. */
async function foreignSchema(): Promise<{ name: string; args: string[] }> {
  schemaCount += 1;
  const name = `cli_${schemaCount}`;
  await database.sql(foreignSchemaSql(name));
  return { name, args: ["--database-url", database.connectionString, "--schema", name] };
}

describe("howdah migrate", () => {
  it("refuses a schema of graphile-worker and says how to adopt it", async () => {
    const { args } = await foreignSchema();
    const { code, error } = await runCli(["migrate", ...args]);
    expect({ code, error }).toEqual({ code: 1, error: expect.stringContaining("howdah migrate --adopt") });
  });

  it("--adopt takes it, tells its SQL before with --dry-run, and is seen by the doctor", async () => {
    const { name, args } = await foreignSchema();
    const dry = await runCli(["migrate", "--adopt", "--dry-run", ...args]);
    expect(dry.out).toContain(`alter table "${name}"."_private_jobs"\n  add column _howdah_exhausted boolean`);
    expect(dry.out).toContain("create index concurrently _howdah_ready");
    expect((await runCli(["migrate", "--adopt", ...args])).out).toContain("was adopted: revision");
    expect((await runCli(["migrate", "--adopt", ...args])).out).toContain("was up to date: revision");
    expect((await runCli(["migrate", "--adopt", "--dry-run", ...args])).out).toContain("up to date.");
    const { out } = await runCli(["doctor", "--only", "schema,indexes,table-options,dead-rows", "--json", ...args]);
    expect(JSON.parse(out)).toMatchObject({
      results: expect.arrayContaining(
        [
          {
            id: "schema",
            status: "ok",
            finding: expect.stringContaining("layout that is shared with graphile-worker"),
          },
          { id: "indexes", status: "ok" },
          { id: "table-options", status: "ok" },
          { id: "dead-rows", status: "ok" },
        ].map((found) => expect.objectContaining(found)),
      ),
    });
  });

  it("--adopt creates a schema where there is none to adopt", async () => {
    const args = ["--database-url", database.connectionString, "--schema", "none_yet"];
    expect((await runCli(["migrate", "--adopt", ...args])).out).toContain("was created: revision");
    expect((await runCli(["migrate", "--adopt", ...args])).out).toContain("was up to date: revision");
  });

  it("--own and --release say what they mean, and ask; a script says --yes", async () => {
    const { args } = await foreignSchema();
    await runCli(["migrate", "--adopt", ...args]);
    const script = await runCli(["migrate", "--own", ...args]);
    expect(script).toMatchObject({ code: 2, error: expect.stringContaining("Add --yes to --own") });
    expect(script.error).toContain("is written anew, which may take 1 s");
    expect(script.error).toContain("Seen of workers of others: nothing.");
    const refused = await runCli(["migrate", "--own", ...args], { ask: async () => "no" });
    expect(refused).toMatchObject({ code: 0, error: expect.stringContaining("Nothing was changed.") });
    const agreed = await runCli(["migrate", "--own", ...args], { ask: async () => "yes" });
    expect(agreed.out).toContain("is Howdah's own: revision");
    const { out } = await runCli(["migrate", "--own", "--dry-run", "--json", ...args]);
    expect(JSON.parse(out)).toMatchObject({ migrated: false, isOwned: true });
    expect((await runCli(["migrate", "--release", "--dry-run", ...args])).out).toContain("Jobs stay.");
    expect((await runCli(["migrate", "--release", ...args])).error).toContain("Add --yes to --release");
    const released = await runCli(["migrate", "--release", "--yes", "--json", ...args]);
    expect(JSON.parse(released.out)).toMatchObject({ migrated: true, change: "release", revision: 0 });
  });

  it("takes one change at a time", async () => {
    const { args } = await foreignSchema();
    expect((await runCli(["migrate", "--own", "--release", ...args])).code).not.toBe(0);
  });
});
