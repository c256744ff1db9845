import { expect, it } from "vitest";
import { renameStatement, toPgStatement } from "./pg-statement.ts";

/** The text is of this test alone: names are those of the process. */
const nameOf = (text: string): string | undefined => toPgStatement({ name: "n", text }, true).name;

it("gives a statement another name once for each change, however many sessions meet it", () => {
  const query = { name: "n", text: "select 'renamed once'" };
  const before = nameOf(query.text);
  for (let session = 0; session < 3; session += 1) renameStatement(query, before);
  const after = nameOf(query.text);
  expect(after).not.toBe(before);
  renameStatement(query, before);
  expect(nameOf(query.text)).toBe(after);
  renameStatement(query, undefined);
  expect(nameOf(query.text)).toBe(after);
});

it("prepares no more a statement whose columns change again and again", () => {
  const query = { name: "n", text: "select 'renamed often'" };
  const names = new Set<string | undefined>();
  for (let change = 0; change < 100; change += 1) {
    names.add(nameOf(query.text));
    renameStatement(query, nameOf(query.text));
  }
  expect(nameOf(query.text)).toBeUndefined();
  expect(names.size).toBe(22);
});
