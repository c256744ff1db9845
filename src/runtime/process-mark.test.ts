import { spawn } from "node:child_process";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import {
  isProcessGone,
  type ProcessSource,
  readProcessMark,
  systemProcesses,
  writeProcessMark,
} from "./process-mark.ts";

const BOOT = "c2a3b0f4-0d3e-4c8e-9a57-000000000001";

interface Machine {
  readonly boot?: string;
  readonly host?: string;
  readonly namespace?: string;
  readonly time?: string;
  /** By pid: its state, its threads and its start. */
  readonly processes?: Readonly<Record<number, readonly [string, number, string]>>;
  /** Those of other users, of which /proc tells nothing. */
  readonly hidden?: readonly number[];
  /** The pid that /proc calls the own one. */
  readonly seenAs?: number;
}

/** A machine as process 100 of it sees it. */
function machine({
  boot = BOOT,
  host = "a",
  namespace = "pid:[1]",
  time = "time:[1]",
  ...more
}: Machine = {}): ProcessSource {
  const processes: Machine["processes"] = { 100: ["S", 7, "5000"], ...more.processes };
  const files = new Map([["/proc/sys/kernel/random/boot_id", `${boot}\n`]]);
  for (const [pid, [state, threads, start]] of Object.entries(processes)) {
    const fields = [state, ...Array(16).fill("1"), threads, "0", start, "1"].join(" ");
    files.set(`/proc/${pid}/stat`, `${pid} (a) b (c) ${fields}\n`);
  }
  files.set("/proc/self/stat", files.get("/proc/100/stat")?.replace("100", String(more.seenAs ?? 100)) ?? "");
  const get = (found: string | undefined): string => {
    if (found === undefined || found === "") throw new Error("ENOENT");
    return found;
  };
  return {
    pid: 100,
    read: (path) => get(files.get(path)),
    link: (path) => get({ "/proc/self/ns/pid": namespace, "/proc/self/ns/time": time }[path]),
    host: () => host,
    exists: (pid) => processes[pid] !== undefined || more.hidden?.includes(pid) === true,
  };
}

/** Whether a process that began on one machine as 200 is gone for one that looks from another, or later. */
function isGone(before: Machine, after: Machine, start = "9000"): boolean {
  const there = readProcessMark(machine(before));
  const stored = writeProcessMark({ ...there, pid: 200, start });
  const source = machine(after);
  return isProcessGone(stored, readProcessMark(source), source);
}

describe("a process of the same machine and namespace", () => {
  it.each<[string, Machine, boolean]>([
    ["runs", { processes: { 200: ["S", 7, "9000"] } }, false],
    ["is stopped", { processes: { 200: ["T", 7, "9000"] } }, false],
    ["is not there", {}, true],
    ["has left its pid to one that began later", { processes: { 200: ["S", 7, "9001"] } }, true],
    ["has ended, and its parent has not looked", { processes: { 200: ["Z", 1, "9000"] } }, true],
    ["has ended its first thread only", { processes: { 200: ["Z", 3, "9000"] } }, false],
    ["is one that may not be looked at", { hidden: [200] }, false],
  ])("that %s", (_, after, gone) => {
    expect(isGone({}, after)).toBe(gone);
  });
});

describe("a process of which nothing can be known", () => {
  it.each<[string, Machine, Machine]>([
    ["of another boot, or another machine", { boot: BOOT.replace("1", "2") }, {}],
    ["of another host name", { host: "b" }, {}],
    ["of another pid namespace", { namespace: "pid:[2]" }, {}],
    ["of another time namespace", { time: "time:[2]" }, {}],
    ["that could not read its boot", { boot: "" }, {}],
    ["seen by one that could not read its own", {}, { boot: "" }],
    ["when neither could", { boot: "" }, { boot: "" }],
    ["with the /proc of another namespace", { seenAs: 7 }, { seenAs: 7 }],
  ])("%s", (_, before, after) => {
    expect(isGone(before, after)).toBe(false);
  });

  it("whose mark cannot be read", () => {
    const source = machine();
    const own = readProcessMark(source);
    for (const stored of ["", own.place, `${own.place} x 1`, `${own.place} 0 1`, `${own.place} -5 1`]) {
      expect(isProcessGone(stored, own, source)).toBe(false);
    }
  });
});

describe.runIf(process.platform === "linux")("on this machine", () => {
  it("the own process is there, for its threads too", async () => {
    const own = readProcessMark();
    expect(own).toMatchObject({ pid: process.pid, place: expect.stringMatching(/^[0-9a-f]{24}$/) });
    expect(isProcessGone(writeProcessMark(own), own)).toBe(false);
    const thread = new Worker(
      `require("node:worker_threads").parentPort.postMessage(require("node:fs").readFileSync("/proc/self/stat", "utf8"))`,
      { eval: true },
    );
    const [stat] = (await once(thread, "message")) as [string];
    expect(stat.split(" ")[0]).toBe(String(own.pid));
    expect(stat).toContain(` ${own.start} `);
  });

  it("a child is there until it has ended", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000); process.stdout.write('up')"]);
    await once(child.stdout, "data");
    const own = readProcessMark();
    const source: ProcessSource = { ...systemProcesses, read: (path) => systemProcesses.read(path) };
    const stat = systemProcesses.read(`/proc/${child.pid}/stat`);
    const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
    const stored = writeProcessMark({ ...own, pid: Number(child.pid), start });
    expect(isProcessGone(stored, own, source)).toBe(false);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(isProcessGone(stored, own, source)).toBe(true);
  });
});
