import { describe, expect, it } from "vitest";
import { sharedWatch } from "./shared-watch.ts";

function setUp(once: boolean) {
  const log: string[] = [];
  const tells: ((event: string) => void)[] = [];
  const watch = sharedWatch<object, string>(
    (_, tell) => {
      log.push("begins");
      tells.push(tell);
      return () => void log.push("ends");
    },
    { once },
  );
  return { log, watch, tell: (event: string) => tells.at(-1)?.(event) };
}

describe("a shared watch", () => {
  it("begins with the first and ends with the last, and begins again", () => {
    const { log, watch, tell } = setUp(false);
    const source = {};
    const leaves = ["a", "b"].map((name) => watch(source, (event) => log.push(`${name}:${event}`)));
    tell("1");
    leaves[0]?.();
    leaves[0]?.();
    tell("2");
    leaves[1]?.();
    watch(source, (event) => log.push(`c:${event}`));
    tell("3");
    expect(log).toEqual(["begins", "a:1", "b:1", "b:2", "ends", "begins", "c:3"]);
  });

  it("that is for one event has ended before any is told, even when one of them throws or joins again", () => {
    const { log, watch, tell } = setUp(true);
    const source = {};
    watch(source, () => {
      log.push("a");
      watch(source, () => log.push("again"));
    });
    watch(source, () => {
      throw new Error("b");
    });
    expect(() => tell("1")).toThrow("b");
    tell("2");
    expect(log).toEqual(["begins", "ends", "a", "begins", "ends", "again"]);
  });

  it("is one for each source", () => {
    const { log, watch } = setUp(false);
    watch({}, () => undefined);
    watch({}, () => undefined);
    expect(log).toEqual(["begins", "begins"]);
  });
});
