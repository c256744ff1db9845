import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Clock } from "../runtime/clock.ts";
import { awaitUnusedData, readPostmasterFile } from "./postmaster-file.ts";

let data: string;
const file = (): string => join(data, "postmaster.pid");

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), "howdah-postmaster-test-"));
});

afterEach(() => rm(data, { recursive: true }));

async function writeFileOf(pid: number | undefined, status: string): Promise<void> {
  await writeFile(file(), [pid, data, "1700000000", "5432", "", "127.0.0.1", "  5432 65536", status, ""].join("\n"));
}

/** A clock on which sleeping takes no time but is counted, and which tells `onSleep` about it. */
function hastyClock(onSleep: () => void | Promise<void> = () => {}): Clock {
  let now = 0;
  return {
    now: () => now,
    monotonic: () => now,
    setTimer: () => ({ cancel: () => {} }),
    async sleep(ms) {
      now += ms;
      await onSleep();
    },
  };
}

describe("readPostmasterFile", () => {
  it("knows a server that takes connections from one that does not yet", async () => {
    await writeFileOf(4711, "starting");
    expect(await readPostmasterFile(data)).toEqual({ pid: 4711, ready: false, stopping: false });
    await writeFileOf(4711, "ready   ");
    expect(await readPostmasterFile(data)).toEqual({ pid: 4711, ready: true, stopping: false });
    await writeFileOf(4711, "stopping");
    expect(await readPostmasterFile(data)).toEqual({ pid: 4711, ready: false, stopping: true });
  });

  it("finds nothing without a file and in an empty one", async () => {
    expect(await readPostmasterFile(data)).toBeUndefined();
    await writeFile(file(), "");
    expect(await readPostmasterFile(data)).toBeUndefined();
  });
});

describe("awaitUnusedData", () => {
  it("takes away the file when its process id belongs to something else", async () => {
    await writeFileOf(process.pid, "ready");
    await awaitUnusedData(data, hastyClock());
    expect(existsSync(file())).toBe(false);
  });

  it("leaves the file to PostgreSQL when the process has ended", async () => {
    const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
    await once(child, "exit");
    await writeFileOf(child.pid, "ready");
    await awaitUnusedData(data, hastyClock());
    expect(existsSync(file())).toBe(true);
  });

  it("waits for a server that is shutting down for as long as it takes, and gives up on one that runs", async () => {
    // Its command line names the folder, as that of a server does.
    const server = spawn(process.execPath, ["-", data], { stdio: ["pipe", "ignore", "ignore"] });
    await once(server, "spawn");
    await writeFileOf(server.pid, "stopping");
    let looks = 0;
    const clock = hastyClock(async () => {
      if (++looks === 500) await writeFileOf(server.pid, "ready");
    });
    await expect(awaitUnusedData(data, clock)).rejects.toMatchObject({ code: "HOWDAH_EMBEDDED_FAILED" });
    expect(looks).toBeGreaterThan(500);

    const ended = once(server, "exit");
    const patient = hastyClock(async () => {
      server.kill();
      await ended;
    });
    await awaitUnusedData(data, patient);
  });
});
