import { expect, it } from "vitest";
import { numberArray, textArray } from "../../../src/postgres/literal.ts";
import type { DriverContext } from "./describe-driver.ts";

/** Text in, text out. */
export function testQuery(context: DriverContext): void {
  const query: DriverContext["driver"]["query"] = (statement) => context.driver.query(statement);

  it("gives every value as the text that PostgreSQL writes", async () => {
    const answers: [question: string, answer: string][] = [
      ["true", "t"],
      ["7::smallint", "7"],
      ["9007199254740993::bigint", "9007199254740993"],
      ["1.50::numeric", "1.50"],
      ["'NaN'::float8", "NaN"],
      ["'text'", "text"],
      ["''", ""],
      [`'{"a":  1}'::json`, '{"a":  1}'],
      [`'{"a":  1}'::jsonb`, '{"a": 1}'],
      ["'2026-02-03 04:05:06.789012'::timestamp", "2026-02-03 04:05:06.789012"],
      ["array[1, null, 3]", "{1,NULL,3}"],
      ["'\\x00ff'::bytea", "\\x00ff"],
    ];
    const { rows } = await query({ text: `select ${answers.map(([question]) => question).join(", ")}` });
    expect(rows).toEqual([answers.map(([, answer]) => answer)]);
  });

  it("takes every value as text and reads it as the type the statement says", async () => {
    const text = "select $1::bigint + 1, $2::boolean, $3::timestamptz = 'epoch', $4::jsonb ->> 'a', $5::text";
    const values = ["9007199254740992", "true", "1970-01-01T00:00:00Z", '{"a":"b"}', "ünï 🐫 'quoted' \\ \n"];
    const { rows } = await query({ text, values });
    expect(rows).toEqual([["9007199254740993", "t", "t", "b", "ünï 🐫 'quoted' \\ \n"]]);
  });

  it("tells null from the empty text and from the text null, in and out", async () => {
    const { rows } = await query({ text: "select $1::text, $2::text, $3::text", values: [null, "", "null"] });
    expect(rows).toEqual([[null, "", "null"]]);
  });

  it("takes arrays as they are written by textArray and numberArray", async () => {
    const words = ["plain", 'a "quote"', "back\\slash", "comma, brace }", "null", "", " ", "lf\n", null];
    const text = "select word from unnest($1::text[]) with ordinality as words(word, place) order by place";
    expect((await query({ text, values: [textArray(words)] })).rows).toEqual(words.map((word) => [word]));
    const sum = await query({
      text: "select sum(n) from unnest($1::bigint[]) as n",
      values: [numberArray([1, 2n, "3"])],
    });
    expect(sum.rows).toEqual([["6"]]);
    expect((await query({ text: "select cardinality($1::text[])", values: [textArray([])] })).rows).toEqual([["0"]]);
  });

  it("keeps columns of the same name apart and in their order", async () => {
    expect((await query({ text: "select 1 as a, 2 as a, 3 as b" })).rows).toEqual([["1", "2", "3"]]);
  });

  it("counts the rows that were returned, or touched when none are returned", async () => {
    await query({ text: "create table counted (id integer)" });
    expect(await query({ text: "insert into counted select generate_series(1, 3)" })).toEqual({ rows: [], count: 3 });
    const changed = await query({ text: "update counted set id = id + 1 where id > $1 returning id", values: ["1"] });
    expect(changed.count).toBe(2);
    expect(changed.rows).toHaveLength(2);
    expect(await query({ text: "select id from counted where id > 100" })).toEqual({ rows: [], count: 0 });
    expect((await query({ text: "delete from counted" })).count).toBe(3);
    expect((await query({ text: "drop table counted" })).count).toBe(0);
  });

  it("runs several statements of one text and gives the answer of the last", async () => {
    const text = "create table many (id integer); insert into many values (1), (2); select id from many order by id";
    expect(await query({ text })).toEqual({ rows: [["1"], ["2"]], count: 2 });
  });

  it("counts and gives only what the last statement of a text did, whatever those before it answered", async () => {
    await query({ text: "create table mixed (id integer)" });
    const inserting = "select 1 union select 2; insert into mixed values (1), (2), (3)";
    expect(await query({ text: inserting })).toEqual({ rows: [], count: 3 });
    const deleting = "insert into mixed values (4); delete from mixed where id < 3; select 5";
    expect(await query({ text: deleting })).toEqual({ rows: [["5"]], count: 1 });
    expect(await query({ text: "select id from mixed; select id from mixed where id > 9" })).toEqual({
      rows: [],
      count: 0,
    });
  });

  it("undoes all statements of one text when one of them fails", async () => {
    await expect(query({ text: "create table half (id integer); select 1 / 0" })).rejects.toThrow(/zero/);
    expect((await query({ text: "select to_regclass('half')" })).rows).toEqual([[null]]);
  });

  it("answers a statement with a name like one without, first and again", async () => {
    for (const value of ["1", "2", "3"]) {
      const { rows } = await query({ name: "double", text: "select $1::integer * 2", values: [value] });
      expect(rows).toEqual([[String(Number(value) * 2)]]);
    }
  });

  it("answers all of many statements at once, each its own", async () => {
    const numbers = Array.from({ length: 60 }, (_, index) => String(index));
    const answers = await Promise.all(numbers.map((value) => query({ text: "select $1::text", values: [value] })));
    expect(answers.map(({ rows }) => rows[0]?.[0])).toEqual(numbers);
  });

  it("runs as read committed whatever the database's default is", async () => {
    const name = new URL(context.database.connectionString).pathname.slice(1);
    await query({ text: `alter database ${name} set default_transaction_isolation = 'serializable'` });
    try {
      const fresh = context.createDriver();
      expect((await fresh.query({ text: "show transaction_isolation" })).rows).toEqual([["read committed"]]);
    } finally {
      await query({ text: `alter database ${name} reset default_transaction_isolation` });
    }
  });
}
