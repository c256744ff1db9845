import { describe, expect, it } from "vitest";
import type { Executor, Query, QueryResult } from "../postgres/driver.ts";
import { withArrayNulls } from "./array-nulls.ts";

/** A session with `array_nulls = off` that carries out one statement after another, and says how each array was read. */
function createSession() {
  let areOn = false;
  let last = Promise.resolve();
  const read: string[] = [];
  const begun = new Map<string, () => void>();
  function carryOut({ text }: Query): QueryResult {
    begun.get(text)?.();
    const change = /set_config\('array_nulls', '(on|off)', true\)/.exec(text);
    if (change) areOn = change[1] === "on";
    else if (text.startsWith("insert")) read.push(`${text} ${areOn ? "null" : "'null'"}`);
    return { rows: [["off"]], count: 1 };
  }
  const executor: Executor = {
    query(query) {
      const answer = last.then(() => carryOut(query));
      last = answer.then(() => undefined);
      return answer;
    },
  };
  return { executor, read, onceBegun: (text: string) => new Promise<void>((resolve) => begun.set(text, resolve)) };
}

describe("arrays with nulls, where array_nulls is off", () => {
  it("mean null in each of several statements that overlap", async () => {
    const { executor, read, onceBegun } = createSession();
    const transaction = {};
    // Two calls of the application on one transaction may come with executors of their own.
    const send = (text: string): Promise<QueryResult> =>
      withArrayNulls(executor, transaction).query({ text, values: ["{1,null}"] });
    const second = onceBegun("insert 1").then(() => send("insert 2"));
    await Promise.all([send("insert 1"), second]);
    expect(read).toEqual(["insert 1 null", "insert 2 null"]);
  });

  it("mean null after a statement that failed", async () => {
    const { executor, read } = createSession();
    const failing: Executor = {
      query: (query) => (query.text === "insert 1" ? Promise.reject(new Error("no")) : executor.query(query)),
    };
    const transaction = {};
    const values = ["{null}"];
    const first = withArrayNulls(failing, transaction).query({ text: "insert 1", values });
    const second = withArrayNulls(executor, transaction).query({ text: "insert 2", values });
    await expect(first).rejects.toThrow("no");
    await second;
    expect(read).toEqual(["insert 2 null"]);
  });
});
