import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { onNeverRun } from "./never-run.ts";

describe("what was never run", () => {
  it("is told once when the process has nothing left to do, unless it was taken back", () => {
    const source = new EventEmitter();
    const told: string[] = [];
    onNeverRun(() => told.push("first"), source);
    onNeverRun(() => told.push("second"), source);
    const remember = onNeverRun(() => told.push("third"), source);
    expect(source.listenerCount("beforeExit")).toBe(1);
    remember();
    source.emit("beforeExit");
    source.emit("beforeExit");
    expect(told).toEqual(["first", "second"]);
    remember();
    expect(source.listenerCount("beforeExit")).toBe(0);
  });

  it("leaves no listener behind when all of it was run, and begins again after that", () => {
    const source = new EventEmitter();
    let told = 0;
    onNeverRun(() => (told += 1), source)();
    expect(source.listenerCount("beforeExit")).toBe(0);
    onNeverRun(() => (told += 1), source);
    source.emit("beforeExit");
    expect(told).toBe(1);
  });
});
