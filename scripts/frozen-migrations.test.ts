import { describe, expect, it } from "vitest";

interface Text {
  readonly file: string;
  readonly sql: string;
}

type Frozen = Readonly<Record<string, { readonly release: string; readonly sha256: string }>>;

interface SqlFile {
  readonly file: string;
  readonly text: string;
}

/** What the three scripts export. They are no TypeScript. */
interface Modules {
  readFrozen(): Promise<Frozen>;
  freeze(frozen: Frozen, migrations: readonly Text[], release: string): Frozen;
  changesOf(frozen: Frozen, migrations: readonly Text[]): string[];
  readMigrations(): Promise<Text[]>;
  readFragments(files: readonly SqlFile[]): unknown;
  expandFragments(files: readonly SqlFile[], fragments: unknown): string[];
}

async function load(script: string): Promise<Modules> {
  return (await import(new URL(script, import.meta.url).href)) as Modules;
}

const { readFrozen, freeze, changesOf } = await load("frozen-migrations.mjs");
const { readMigrations } = await load("migrations.mjs");
const { readFragments, expandFragments } = await load("sql-fragments.mjs");

const FIRST = { file: "000001-tables.sql", sql: "create table a ();" };
const SECOND = { file: "000002-claim.sql", sql: "create table b ();" };

describe("migrations that were released", () => {
  it("have not changed", async () => {
    expect(changesOf(await readFrozen(), await readMigrations())).toEqual([]);
  });

  it("may not change by one byte", () => {
    const frozen = freeze({}, [FIRST, SECOND], "1.2.3");
    expect(changesOf(frozen, [FIRST, SECOND])).toEqual([]);
    expect(changesOf(frozen, [{ ...FIRST, sql: `${FIRST.sql} ` }, SECOND])).toEqual([
      expect.stringMatching(/^000001-tables\.sql was released with 1\.2\.3 and has changed/),
    ]);
  });

  it("may not change through a fragment", () => {
    const source = { file: "000001-claim.sql", text: "select :{due(now)};" };
    const withFragment = (body: string) => {
      const text = `-- Is it due?\ncreate fragment due(time) as $$\n${body} <= :{time}\n$$;\n`;
      const [sql = ""] = expandFragments([source], readFragments([{ file: "jobs.sql", text }]));
      return [{ file: source.file, sql }];
    };
    const frozen = freeze({}, withFragment("run_at"), "1.2.3");
    expect(changesOf(frozen, withFragment("run_at"))).toEqual([]);
    expect(changesOf(frozen, withFragment("due_at"))).toHaveLength(1);
  });

  it("may not go or get another name", () => {
    const frozen = freeze({}, [FIRST], "1.2.3");
    const gone = ["000001-tables.sql was released with 1.2.3 and is gone."];
    expect(changesOf(frozen, [])).toEqual(gone);
    expect(changesOf(frozen, [{ ...FIRST, file: "000001-jobs.sql" }])).toEqual(gone);
  });

  it("keep the release that had them first, when another one is made", () => {
    const frozen = freeze(freeze({}, [FIRST], "1.2.3"), [FIRST, SECOND], "1.3.0");
    expect(Object.entries(frozen).map(([file, { release }]) => [file, release])).toEqual([
      ["000001-tables.sql", "1.2.3"],
      ["000002-claim.sql", "1.3.0"],
    ]);
  });
});
