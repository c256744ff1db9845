import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createClient, type Client } from "../../../src/index.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { openProxy } from "../../harness/proxy.ts";
import { runCli } from "../../harness/run-cli.ts";
import { until } from "../../harness/until.ts";

const MAIN = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));

let database: TestDatabase;
let client: Client;
let failedId: string;

beforeAll(async () => {
  vi.stubEnv("HOWDAH_LOG", "silent");
  database = await createDatabase();
  client = await createClient({ driver: database.driver, migrate: false });
  await client.addJob("send_email", { secret: "of the user" }, { queueName: "mail" });
  const { id } = await client.addJob("resize_image");
  await client.permanentlyFailJobs([id], "no such file");
  await client.pauseTask("send_email");
  failedId = id;
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await database.drop();
});

/** `howdah watch` on a terminal that `script` makes, of 80 by 24 unless told otherwise. */
class Terminal implements AsyncDisposable {
  readonly #child: ChildProcess;
  #text = "";

  constructor(url = database.connectionString, [columns, rows] = [80, 24]) {
    const command = `stty rows ${rows} cols ${columns}; exec "${process.execPath}" "${MAIN}" watch`;
    const env = { ...process.env, DATABASE_URL: url, TERM: "xterm", HOWDAH_SCHEMA: undefined };
    this.#child = spawn("script", ["-qec", command, "/dev/null"], { env, stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (this.#text += chunk));
  }

  /** Everything that was written so far. */
  get text(): string {
    return this.#text;
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** Waits until this is written, after what was written before. */
  async shows(what: string): Promise<void> {
    await until(() => this.#text.includes(what), { message: `the terminal to show ${JSON.stringify(what)}` });
    this.#text = this.#text.slice(this.#text.indexOf(what) + what.length);
  }

  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, "close");
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) this.type("\u0003");
    await this.ended();
  }
}

describe("watch", () => {
  it("shows lists, retries a job after a yes, and gives the terminal back", async () => {
    await using terminal = new Terminal();
    await terminal.shows("\u001B[?1049h");
    await terminal.shows("send_email");
    terminal.type("5");
    await terminal.shows("no such file");
    terminal.type("\r");
    await terminal.shows(`Job ${failedId} of task resize_image is failed.`);
    terminal.type("q");
    await terminal.shows(`${failedId}`);
    terminal.type("r");
    await terminal.shows(`Retry job ${failedId}? Type yes:`);
    terminal.type("yes\r");
    await terminal.shows("Retried 1 job.");
    expect(await client.getJob(failedId)).toMatchObject({ state: "ready", attempts: 0 });
    terminal.type("q");
    await terminal.shows("\u001B[?25h\u001B[?1049l");
    expect(await terminal.ended()).toBe(0);
  });

  it.each([
    [60, 16],
    [80, 24],
    [140, 40],
  ])("fits a terminal of %i by %i, and goes back in time there", async (...size) => {
    await database.sql("delete from howdah._howdah_samples");
    await using terminal = new Terminal(database.connectionString, size);
    await terminal.shows("send_email");
    terminal.type("[");
    await terminal.shows("There are no samples");
    await database.sql(
      `insert into howdah._howdah_samples (resolution, at, taken_at, samples, ready, scheduled, running, failed, workers, slots, busy,
         dead_rows, took_ms, inserted, updated, deleted, top)
       select resolution, at, at, 1, 73 - ago, 0, 0, 0, 1, 4, 0, 0, 1, 0, 0, 0,
         case when resolution = 10 then '{"tasks": [["old_task", 71, 5000]], "queues": []}'::json end
       from unnest('{60,10}'::int[]) as resolution, unnest('{1,2}'::int[]) as ago,
         lateral (select date_trunc('minute', now()) - ago * interval '1 min' as at) as minute`,
    );
    terminal.type("[");
    await terminal.shows("ready 72");
    terminal.type("[");
    await terminal.shows("ready 71");
    await terminal.shows("old_task");
    terminal.type("q");
    await terminal.shows("send_email");
    terminal.type("q");
    await terminal.shows("\u001B[?1049l");
    expect(await terminal.ended()).toBe(0);
    await database.sql("delete from howdah._howdah_samples");
  });

  it("says in its last line what went wrong, and goes on", async () => {
    await using terminal = new Terminal();
    await terminal.shows("send_email");
    await database.sql("alter function howdah._howdah_us rename to gone");
    await terminal.shows("_howdah_us");
    await database.sql("alter function howdah.gone rename to _howdah_us");
    terminal.type("3");
    await terminal.shows("No workers to show.");
    terminal.type("q");
    expect(await terminal.ended()).toBe(0);
  });

  it("goes on after Ctrl-Z when there is no shell that waits for it", async () => {
    await using terminal = new Terminal();
    await terminal.shows("send_email");
    terminal.type("\u001A");
    await terminal.shows("\u001B[?1049l");
    await terminal.shows("\u001B[?1049h");
    await terminal.shows("send_email");
    terminal.type("q");
    await terminal.shows("\u001B[?1049l");
    expect(await terminal.ended()).toBe(0);
  });

  it("gives the terminal back at once when the database does not answer", async () => {
    await using proxy = await openProxy(database.connectionString);
    await using terminal = new Terminal(proxy.connectionString);
    await terminal.shows("send_email");
    proxy.hold();
    // The look that does not come back.
    await terminal.shows("4 s old");
    terminal.type("q");
    await terminal.shows("\u001B[?1049l");
    proxy.allow();
    expect(await terminal.ended()).toBe(0);
  });

  it("prints one frame with --once, without a payload", async () => {
    const { code, out } = await runCli([
      "watch",
      "--once",
      "--tab",
      "queues",
      "--database-url",
      database.connectionString,
    ]);
    expect(code).toBe(0);
    expect(out).toMatch(/^howdah watch {2}.*\/howdah/);
    expect(out).toContain("[2 queues]");
    expect(out).toMatch(/^mail +1 +/m);
    expect(out).not.toContain("of the user");
  });

  it("prints an object a look with --json", async () => {
    const args = ["watch", "--once", "--json", "--database-url", database.connectionString];
    const { out } = await runCli(args);
    expect(out.trim().split("\n")).toHaveLength(1);
    expect(Object.keys(JSON.parse(out) as object)).toEqual([
      "at",
      "stats",
      "oldestDue",
      "newestId",
      "tasks",
      "pausedTasks",
      "queues",
      "workers",
      "idleWorkers",
      "running",
      "failed",
      "schedules",
    ]);
  });
});
