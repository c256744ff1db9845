import { describe, expect, it } from "vitest";

interface SqlFile {
  readonly file: string;
  readonly text: string;
}

interface Module {
  readFragments(files: readonly SqlFile[]): ReadonlyMap<string, unknown>;
  expandFragments(files: readonly SqlFile[], fragments: ReadonlyMap<string, unknown>): string[];
}

const { readFragments, expandFragments } = (await import(new URL("sql-fragments.mjs", import.meta.url).href)) as Module;

function fragment(head: string, body: string): string {
  return `-- Is it so?\ncreate fragment ${head} as $$\n${body}\n$$;\n`;
}

function expand(migration: string, ...definitions: readonly string[]): string | undefined {
  const fragments = readFragments([{ file: "pieces.sql", text: definitions.join("\n") }]);
  return expandFragments([{ file: "000001-some.sql", text: migration }], fragments)[0];
}

const CLAIMABLE = fragment("claimable(job, tasks)", ":{job}.locked_at is null\nand :{job}.task_id = any (:{tasks})");

describe("a fragment", () => {
  it("takes the place of its name, with what it is given, as often as it is written", () => {
    expect(expand("a :{soon(now())}, b :{soon(at)}", fragment("soon(at)", ":{at} + interval '2 seconds'"))).toBe(
      "a now() + interval '2 seconds', b at + interval '2 seconds'",
    );
  });

  it("is indented like the line on which it is written", () => {
    expect(expand("where a\n  and :{claimable(jobs, tasks)}\n  and b", CLAIMABLE)).toBe(
      "where a\n  and jobs.locked_at is null\n  and jobs.task_id = any (tasks)\n  and b",
    );
  });

  it("uses other fragments, and gives them what it was given", () => {
    const outer = fragment("first(job)", "  :{claimable(:{job}, array[1, 2])}");
    expect(expand("  :{first(jobs)}", CLAIMABLE, outer)).toBe(
      "    jobs.locked_at is null\n    and jobs.task_id = any (array[1, 2])",
    );
  });

  it("may be an argument, and an argument may have commas and braces of its own", () => {
    const both = fragment("both(a, b)", ":{a} | :{b}");
    expect(expand(":{both(:{now()}, f(1, '{2,3}'))}", both, fragment("now()", "clock()"))).toBe(
      "clock() | f(1, '{2,3}')",
    );
  });

  it("may be an argument of several lines, with comments", () => {
    const long = fragment("long()", "one -- of two, and (not\nand two");
    expect(expand("where :{not(:{long()})}", long, fragment("not(a)", "not (\n  :{a}\n)"))).toBe(
      "where not (\n  one -- of two, and (not\n  and two\n)",
    );
  });

  it("may be written over several lines", () => {
    expect(expand(":{both(\n  one,\n  two\n)}", fragment("both(a, b)", ":{a} | :{b}"))).toBe("one | two");
  });

  it("leaves the placeholders of the schema alone", () => {
    expect(expand(`:{all()}`, fragment("all()", `:"schema".jobs, :'schema'`))).toBe(`:"schema".jobs, :'schema'`);
  });
});

describe("refuses", () => {
  it.each([
    ["a fragment that is not there", ":{absent(jobs)}", "000001-some.sql, line 1: there is no fragment absent"],
    ["too few arguments", "\n:{claimable(jobs)}", "line 2: fragment claimable is given 1 arguments and takes 2"],
    ["too many arguments", ":{claimable(jobs, tasks, 3)}", "is given 3 arguments and takes 2"],
    ["a parameter outside of a fragment", ":{job}", "job is no parameter here"],
    ["what is never closed", ":{claimable(jobs, tasks)", ":{ is never closed"],
    ["a fragment that nothing uses", "select 1", "pieces.sql: nothing uses fragment claimable"],
  ])("%s", (_, migration, message) => {
    expect(() => expand(migration, CLAIMABLE)).toThrow(message);
  });

  it("a parameter of another fragment", () => {
    const inner = fragment("inner()", ":{job}");
    expect(() => expand(":{outer(1)}", inner, fragment("outer(job)", ":{job} :{inner()}"))).toThrow(
      "pieces.sql, fragment inner, line 1: job is no parameter here",
    );
  });

  it("fragments that use each other in a circle", () => {
    const circle = [fragment("one()", ":{two()}"), fragment("two()", ":{one()}")];
    expect(() => expand(":{one()}", ...circle)).toThrow("fragments use each other: one > two > one");
  });

  it("two fragments of one name", () => {
    expect(() => expand("", CLAIMABLE, CLAIMABLE)).toThrow("fragment claimable is also in pieces.sql");
  });

  it("a parameter that is not used", () => {
    expect(() => expand("", fragment("some(job)", "true"))).toThrow("fragment some never uses job");
  });

  it("a fragment whose comment does not ask a question", () => {
    expect(() => expand("", CLAIMABLE.replace("Is it so?", "It is so. Or not?"))).toThrow(
      "the comment on fragment claimable begins with the question that it answers",
    );
  });

  it("what belongs to no fragment", () => {
    expect(() => expand("", `${CLAIMABLE}select 1;\n`)).toThrow("pieces.sql: this belongs to no fragment: select 1;");
  });
});
