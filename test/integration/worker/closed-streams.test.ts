import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
afterAll(() => database.drop());

describe("a worker whose stderr is a pipe that was closed", () => {
  it("runs all jobs although each of them has a line for the log", async () => {
    const script = fileURLToPath(new URL("../fixtures/closed-log-worker.mjs", import.meta.url));
    const child = spawn(process.execPath, [script, JSON.stringify({ connectionString: database.connectionString })], {
      env: { ...process.env, HOWDAH_LOG: "debug" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const lines: string[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
    try {
      // The reader of the log goes away once the worker runs.
      await new Promise<void>((resolve) => {
        child.stderr.once("data", () => resolve());
      });
      child.stderr.destroy();
      for (const name of ["first", "second", "third"]) {
        await database.sql(`select howdah.add_job('fails', '"${name}"', max_attempts => 1)`);
        await until(() => lines.includes(`ran ${name}`) || child.exitCode !== null, { deadlineMs: 20_000 });
      }
      expect(lines).toEqual(["ran first", "ran second", "ran third"]);
      child.kill("SIGTERM");
      await until(() => child.exitCode !== null || child.signalCode !== null);
      expect(lines.at(-1)).toBe("exit 0");
    } finally {
      child.kill("SIGKILL");
    }
  });
});
