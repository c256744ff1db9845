import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { onNeverRun, onOsSignal } from "./process-end.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"] as const;

function listenersOf(source: EventEmitter): number {
  return SIGNALS.reduce((sum, signal) => sum + source.listenerCount(signal), 0);
}

describe("onOsSignal", () => {
  it.each(SIGNALS)("tells of %s, once, and leaves a second signal to the default", (signal) => {
    const source = new EventEmitter();
    const received: string[] = [];
    onOsSignal((name) => received.push(name), source);
    expect(listenersOf(source)).toBe(SIGNALS.length);

    source.emit(signal, signal);
    expect(received).toEqual([signal]);
    expect(listenersOf(source)).toBe(0);
  });

  it("hears nothing after it was told to stop, and leaves listeners of others alone", () => {
    const source = new EventEmitter();
    const received: string[] = [];
    source.on("SIGTERM", () => received.push("other"));
    const stop = onOsSignal((name) => received.push(name), source);
    stop();
    stop();
    source.emit("SIGTERM", "SIGTERM");
    expect(received).toEqual(["other"]);
    expect(listenersOf(source)).toBe(1);
  });

  it("may be called for several workers of one process: each hears the first signal", () => {
    const source = new EventEmitter();
    const received: string[] = [];
    onOsSignal(() => received.push("first"), source);
    onOsSignal(() => received.push("second"), source);
    source.emit("SIGINT", "SIGINT");
    expect(received).toEqual(["first", "second"]);
    expect(listenersOf(source)).toBe(0);
  });

  it("listens once for any number of workers, until the last of them has stopped", () => {
    const source = new EventEmitter();
    const received: number[] = [];
    const stops = Array.from({ length: 12 }, (_, index) => onOsSignal(() => received.push(index), source));
    expect(listenersOf(source)).toBe(SIGNALS.length);
    for (const stop of stops.slice(1)) stop();
    expect(listenersOf(source)).toBe(SIGNALS.length);
    source.emit("SIGHUP", "SIGHUP");
    expect(received).toEqual([0]);
    onOsSignal(() => received.push(99), source);
    source.emit("SIGHUP", "SIGHUP");
    expect(received).toEqual([0, 99]);
  });
});

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
