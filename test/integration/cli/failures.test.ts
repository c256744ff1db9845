import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { createClient, type HowdahErrorCode } from "../../../src/index.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { openProxy } from "../../harness/proxy.ts";
import { type CliOutput, runCli, wordsOf } from "../../harness/run-cli.ts";
import { administer } from "../../harness/template.ts";
import { type Refusal, refusalBytes } from "../../harness/wire-statements.ts";

const MAIN = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));

/** Part of every URL here; no message may hold it. */
const PASSWORD = "s3cret-pass";

const folder = await mkdtemp(join(tmpdir(), "howdah-cli-failures-"));
await writeFile(join(folder, "file"), "content");
await writeFile(join(folder, "tasks.mjs"), "export const noted = () => {};\n");
afterAll(() => rm(folder, { recursive: true }));

/** Commands that never ask a database. */
const WITHOUT_DATABASE = ["cron", "completion"];

/** Begins to serve when it is connected, and answers what fails later. */
const SERVES = "admin";

/** The examples of every command as calls, in schema howdah. A command without one is not walked: there is a test for that. */
const CALLS: readonly (readonly string[])[] = COMMANDS.flatMap((command) => {
  const [name = ""] = command.usage.split(" ");
  if (WITHOUT_DATABASE.includes(name)) return [];
  if (name === "demo") return [["demo", folder, "--manifest", join(tmpdir(), "howdah-cli-failures.sha256")]];
  if (name === "work") return [["work", join(folder, "tasks.mjs"), "--once", "--no-migrate"]];
  const calls = command.examples.map((line) => wordsOf(line).slice(1)).filter((call) => !call.includes("--sql"));
  return name === "watch" ? calls.map((call) => [...new Set([...call, "--once"])]) : calls;
}).map((call) => [...without(call, "--schema"), "--schema", "howdah"]);

function without(call: readonly string[], option: string): string[] {
  const index = call.indexOf(option);
  return call.filter((_, at) => index < 0 || at < index || at > index + 1);
}

function named(...names: string[]): readonly (readonly string[])[] {
  return CALLS.filter((call) => names.some((name) => call.join(" ").startsWith(name)));
}

function unnamed(...names: string[]): readonly (readonly string[])[] {
  const left = named(...names);
  return CALLS.filter((call) => !left.includes(call));
}

/** The first example of each command that has not one of these names. */
function oneEach(...names: string[]): readonly (readonly string[])[] {
  return [
    ...new Map(
      unnamed(...names)
        .map((call) => [call[0], call] as const)
        .toReversed(),
    ).values(),
  ];
}

let database: TestDatabase;
/** A role without any right. */
const stranger = `howdah_cli_${randomBytes(6).toString("hex")}`;
/** One that has no connection left. */
const turnedAway = `${stranger}_away`;

beforeAll(async () => {
  vi.stubEnv("HOWDAH_LOG", "silent");
  database = await createDatabase();
  await seed(database);
  await database.sql(`create role ${stranger} login password '${PASSWORD}'`);
  await database.sql(`create role ${turnedAway} login password '${PASSWORD}' connection limit 0`);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await database.drop();
  await administer(inject("serverUrl"), `drop role ${stranger}, ${turnedAway}`);
});

/** What the examples name. */
async function seed({ driver, sql }: TestDatabase): Promise<void> {
  const client = await createClient({ driver, migrate: false });
  for (const queueName of ["mail", "NAME"]) await client.addJob("send_email", {}, { queueName });
  await client.addJob("send_email", {}, { runAt: new Date(4_000_000_000_000) });
  await sql(`insert into howdah._howdah_operations (id, action, filter, change, newest_id, state)
    overriding system value values (7, 'retry', '{}', '{}', 0, 'paused')`);
  await client.schedules.upsert({ id: "nightly", task: "nightly", schedule: "0 0 * * *" });
  await client.close();
}

/** The same database as another role, by default one that does not exist. */
function urlAs({ connectionString }: TestDatabase, parts: Partial<URL> = {}): string {
  return Object.assign(new URL(connectionString), { password: PASSWORD, ...parts }).href;
}

interface Failed {
  readonly code: HowdahErrorCode;
  readonly said: RegExp;
}

/** What is wrong with how a call failed. */
function faultsOf({ code, out, error }: CliOutput, expected: Failed, call: readonly string[]): string[] {
  const faults = [
    code === 1 ? undefined : `ends with ${code}`,
    call[0] === "demo" || out === "" ? undefined : "has a result",
    expected.said.test(error) ? undefined : `does not say ${expected.said}`,
    // One line: a code, and sentences without a stack trace or what an object looks like as a text.
    /^howdah: HOWDAH_[A-Z_]+: [^\n]+[.?]\n$/.test(error) ? undefined : "is not one line of sentences",
    error.startsWith(`howdah: ${expected.code}: `) ? undefined : `has not the code ${expected.code}`,
    /s3cret|\[object|undefined|^ +at |migrate: true|preparedStatements/m.test(error) ? "says too much" : undefined,
  ];
  return faults
    .filter((fault) => fault !== undefined)
    .map((fault) => `howdah ${call.join(" ")} ${fault}: ${error}${out}`);
}

/** The same of many calls at once. */
async function faultsOfAll(calls: readonly (readonly string[])[], url: string, expected: Failed): Promise<string[]> {
  const faultsOfCall = async (call: readonly string[]) =>
    faultsOf(await runCli([...call, "--database-url", url]), expected, call);
  const [sweeps, others] = [true, false].map((isSweep) => calls.filter((call) => call.includes("--sweep") === isSweep));
  const faults = await Promise.all((others ?? []).map(faultsOfCall));
  // Two sweeps at once: the second one leaves everything to the first, and has nothing to say.
  for (const call of sweeps ?? []) faults.push(await faultsOfCall(call));
  return faults.flat();
}

it("every command that asks a database is walked here", () => {
  const walked = new Set(CALLS.map(([name]) => name));
  const names = COMMANDS.map(({ usage }) => usage.split(" ")[0] ?? "");
  expect(new Set(names.filter((name) => !walked.has(name)))).toEqual(new Set(WITHOUT_DATABASE));
  const known = (call: readonly string[]): boolean => names.includes(call[0] ?? "");
  expect(CALLS.filter((call) => !known(call))).toEqual([]);
});

describe("every command says what it found and what to do", () => {
  // These three wait for as long as a database may take to start, at the same time.
  it.concurrent("when nothing listens there", { timeout: 60_000 }, async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const url = `postgresql://me:${PASSWORD}@127.0.0.1:${port}/nothing`;
    expect(
      await faultsOfAll(CALLS, url, {
        code: "HOWDAH_DATABASE_UNREACHABLE",
        said: /ECONNREFUSED.*\. Is PostgreSQL running there\? Check --database-url or DATABASE_URL\.\n$/,
      }),
    ).toEqual([]);
  });

  it.concurrent("when all connections are taken", { timeout: 60_000 }, async () => {
    expect(
      await faultsOfAll(CALLS, urlAs(database, { username: turnedAway }), {
        code: "HOWDAH_DATABASE_UNREACHABLE",
        said: /too many connections for role .* as many connections as it may: end some, or raise the limit\.\n$/,
      }),
    ).toEqual([]);
  });

  it.concurrent("when the server is shutting down", { timeout: 60_000 }, async () => {
    const message = "the database system is shutting down";
    await using server = await openRefusing({ code: "57P03", message, severity: "FATAL" });
    expect(
      await faultsOfAll(CALLS, server.url, {
        code: "HOWDAH_DATABASE_UNREACHABLE",
        said: /is shutting down\. The server is starting, stopping or recovering: try again later\.\n$/,
      }),
    ).toEqual([]);
  });

  it("when the password is wrong", async () => {
    expect(
      await faultsOfAll(CALLS, urlAs(database, { username: stranger, password: "wr0ng-s3cret" }), {
        code: "HOWDAH_DATABASE_FORBIDDEN",
        said: /password authentication failed for user .*Check the user and the password/,
      }),
    ).toEqual([]);
  });

  it("when there is no such database", async () => {
    expect(
      await faultsOfAll(CALLS, urlAs(database, { username: stranger, pathname: "/nowhere" }), {
        code: "HOWDAH_DATABASE_UNREACHABLE",
        said: /database "nowhere" does not exist\. Check the name of the database, or create it\.\n$/,
      }),
    ).toEqual([]);
  });

  it("when the role may not connect", async () => {
    await using other = await createDatabase();
    const name = new URL(other.connectionString).pathname.slice(1);
    await other.sql(`revoke connect on database ${name} from public`);
    expect(
      await faultsOfAll(CALLS, urlAs(other, { username: stranger }), {
        code: "HOWDAH_DATABASE_FORBIDDEN",
        said: /permission denied for database .*grant the role `connect`\.\n$/,
      }),
    ).toEqual([]);
  });

  it("when the role has no rights in the schema", async () => {
    expect(
      await faultsOfAll(CALLS, urlAs(database, { username: stranger }), {
        code: "HOWDAH_DATABASE_FORBIDDEN",
        said: /permission denied for .*(grant|docs\/guides\/roles\.sql)/,
      }),
    ).toEqual([]);
  });

  it("when the schema is not there", async () => {
    await using other = await createDatabase({ migrate: false });
    expect(
      await faultsOfAll(unnamed("migrate", "demo"), urlAs(other, { password: passwordOf(other) }), {
        code: "HOWDAH_SCHEMA_MISSING",
        said: /Schema "howdah" has not been migrated.* Run `howdah migrate` with a role that may create tables\.\n$/,
      }),
    ).toEqual([]);
  });

  it("when the schema is another application's", async () => {
    await using other = await createDatabase({ migrate: false });
    await other.sql("create schema howdah; create table howdah.jobs (id bigint)");
    expect(
      await faultsOfAll(CALLS, urlAs(other, { password: passwordOf(other) }), {
        code: "HOWDAH_SCHEMA_FOREIGN",
        said: /Schema "howdah" holds jobs, which Howdah did not make.* Choose another schema/,
      }),
    ).toEqual([]);
  });

  it("when the schema was migrated by a newer release that breaks this one", async () => {
    await using other = await createDatabase();
    await other.sql("insert into howdah._howdah_migrations (id, name, breaks_before) values (999, 'later', 998)");
    expect(
      await faultsOfAll(CALLS, urlAs(other, { password: passwordOf(other) }), {
        code: "HOWDAH_SCHEMA_TOO_NEW",
        said: /at revision 999, .* up to \d+, .* needs a release that knows revision 998\. .*upgrade this one\.\n$/,
      }),
    ).toEqual([]);
  });

  it("when tables of the schema are gone", async () => {
    await using other = await createDatabase();
    const tables = await other.sql(
      "select format('howdah.%I', tablename) as name from pg_tables where schemaname = 'howdah' and tablename !~ 'migrations$'",
    );
    await other.sql(`drop table ${tables.map((row) => String(row["name"])).join(", ")} cascade`);
    const url = urlAs(other, { password: passwordOf(other) });
    expect(
      await faultsOfAll(unnamed("migrate", "demo", SERVES), url, {
        code: "HOWDAH_SCHEMA_MISSING",
        said: /lacks something that Howdah needs .* run `howdah migrate` with the role that owns it\.\n$/,
      }),
    ).toEqual([]);
    expect(
      await faultsOfAll(named("migrate", "demo"), url, {
        code: "HOWDAH_SCHEMA_DAMAGED",
        said: /is not what revision \d+ makes\. Missing or different: .* Restore them/,
      }),
    ).toEqual([]);
  });

  it("when the database can only be read", async () => {
    await using other = await createDatabase();
    await seed(other);
    await set(other, "default_transaction_read_only", "on");
    const url = urlAs(other, { password: passwordOf(other) });
    expect(
      await faultsOfAll(
        named("cancel --queue mail --yes", "retry 42", "add ", "queues pause", "tasks pause", "schedules pause"),
        url,
        {
          code: "HOWDAH_DATABASE_ERROR",
          said: /read-only transaction .*connect to the primary\.\n$/,
        },
      ),
    ).toEqual([]);
    const created = await runCli(["migrate", "--schema", "other", "--database-url", url]);
    const said = /can only be read .* connect to the primary/;
    expect(faultsOf(created, { code: "HOWDAH_DATABASE_UNREACHABLE", said }, ["migrate"])).toEqual([]);
  });

  it.each([
    ["statement_timeout", "HOWDAH_QUERY_TIMEOUT", /statement timeout.* run the command again later\.\n$/],
    ["lock_timeout", "HOWDAH_DATABASE_ERROR", /lock timeout .*Another transaction holds what this one needs/],
  ] as const)("when another session holds what it needs for longer than %s", async (setting, code, said) => {
    await using other = await createDatabase();
    await set(other, setting, "100ms");
    const holder = await other.connect();
    await holder.query("begin; set local lock_timeout = 0; set local statement_timeout = 0");
    const { rows } = await holder.query("select tablename from pg_tables where schemaname = 'howdah'");
    const tables = rows.map(({ tablename }: { tablename: string }) => `howdah.${tablename}`);
    await holder.query(`lock table ${tables.join(", ")} in access exclusive mode`);
    // The demo and workers have timeouts of their own.
    expect(
      await faultsOfAll(unnamed("demo", "work"), urlAs(other, { password: passwordOf(other) }), { code, said }),
    ).toEqual([]);
  });

  it.each([
    [
      "a trigger",
      "P0001",
      /not today \(SQLSTATE P0001\)\. It was not Howdah that raised this but PL\/pgSQL function public\.refuse\(\)/,
    ],
    [
      "a constraint",
      "23514",
      /"theirs" \(SQLSTATE 23514\)\. A constraint that Howdah did not make is the application's to change/,
    ],
  ])("when %s of the application refuses a row", async (_what, state, said) => {
    await using other = await createDatabase();
    await seed(other);
    if (state === "P0001") {
      await other.sql(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$",
      );
      await other.sql(
        "create trigger refuse before insert or update or delete on howdah._private_jobs for each row execute function refuse()",
      );
    } else await other.sql("alter table howdah._private_jobs add constraint theirs check (priority > 999) not valid");
    const calls = state === "P0001" ? ["cancel --queue", "schedules trigger", "demo"] : ["schedules trigger", "demo"];
    expect(
      await faultsOfAll(named(...calls), urlAs(other, { password: passwordOf(other) }), {
        code: "HOWDAH_DATABASE_ERROR",
        said,
      }),
    ).toEqual([]);
  });
});

/** What the server may answer to any statement, and what comes of it. */
const ANSWERS: readonly (readonly [string, HowdahErrorCode, RegExp])[] = [
  ["53100", "HOWDAH_DATABASE_ERROR", /no luck \(SQLSTATE 53100\)\. Make room on the disk/],
  ["53200", "HOWDAH_DATABASE_ERROR", /no luck \(SQLSTATE 53200\)\. The server has run out of memory/],
  ["55P03", "HOWDAH_DATABASE_ERROR", /no luck \(SQLSTATE 55P03\)\. Another transaction holds/],
  ["57014", "HOWDAH_QUERY_TIMEOUT", /no luck\. The database is busy or blocked/],
  ["42501", "HOWDAH_DATABASE_FORBIDDEN", /no luck/],
  ["42P01", "HOWDAH_SCHEMA_MISSING", /no luck\): run `howdah migrate`/],
  ["23514", "HOWDAH_DATABASE_ERROR", /no luck \(SQLSTATE 23514\)/],
  ["P0001", "HOWDAH_DATABASE_ERROR", /no luck \(SQLSTATE P0001\)/],
  ["XX000", "HOWDAH_DATABASE_ERROR", /no luck \(SQLSTATE XX000\)/],
];

/** These wait for open transactions; they say what a lock that they do not get means to them. */
const WAITED_IN_VAIN: readonly [HowdahErrorCode, RegExp] = ["HOWDAH_QUERY_TIMEOUT", /an open transaction/i];
const WAITING = ["cleanup", "erase"];

/** Waits for a job, and meanwhile for a database that does not answer; awaited-jobs.test.ts has what it fails for. */
const WAITS = "result";

/** The statements of a connection and of the probe for the database, which is tried again: tested above. */
const FIRST_STATEMENTS = 2;

/** Sends a hundred statements, and shows what the server refuses as findings: doctor.test.ts has what it fails for. */
const FINDS = "doctor";

/** Each statement of each call meets some of them. */
const ROUNDS = [0, 3, 6];

function answerTo(number: number): (typeof ANSWERS)[number] {
  const answer = ANSWERS[number % ANSWERS.length];
  if (answer === undefined) throw new Error("there are no answers");
  return answer;
}

describe("every command gives a code to what the server says to any of its statements", () => {
  it.each(ROUNDS)("one error for each statement, beginning with number %i", { timeout: 120_000 }, async (first) => {
    const met = new Set<string>();
    for (const [index, call] of oneEach("demo", "work", WAITS, FINDS, SERVES).entries()) {
      for (let after = FIRST_STATEMENTS, answered = 1; answered > 0; after += 1) {
        const [state, ...answer] = answerTo(first + index + after);
        await using proxy = await openProxy(database.connectionString);
        proxy.answer({ code: state, message: "no luck" }, { after });
        const output = await runCli([...call, "--database-url", proxy.connectionString]);
        ({ answered } = proxy);
        if (answered === 0) {
          expect(after).toBeGreaterThan(FIRST_STATEMENTS);
          continue;
        }
        const waits = WAITING.includes(call[0] ?? "") && state === "55P03" && WAITED_IN_VAIN[1].test(output.error);
        const [code, said] = waits ? WAITED_IN_VAIN : answer;
        expect(faultsOf(output, { code, said }, call)).toEqual([]);
        met.add(state);
      }
    }
    expect(met.size).toBe(ANSWERS.length);
  });

  it("while it creates the schema", { timeout: 120_000 }, async () => {
    for (const [state, code, said] of ANSWERS.filter(([each]) => /^(53100|57014|42501|P0001)$/.test(each))) {
      for (let after = FIRST_STATEMENTS, answered = 1; answered > 0; after += 5) {
        await using proxy = await openProxy(database.connectionString);
        proxy.answer({ code: state, message: "no luck" }, { after });
        const call = ["migrate", "--schema", `new_${state}_${after}`.toLowerCase()];
        const output = await runCli([...call, "--database-url", proxy.connectionString]);
        ({ answered } = proxy);
        if (answered > 0) expect(faultsOf(output, { code, said }, call)).toEqual([]);
        else expect(after).toBeGreaterThan(40);
      }
    }
  });

  it("such as the end of the session", { timeout: 120_000 }, async () => {
    const refusal = { code: "57P01", message: "terminating connection", severity: "FATAL" } as const;
    const endFor = async (call: readonly string[]): Promise<void> => {
      let failed = 0;
      for (let after = FIRST_STATEMENTS, answered = 1; answered > 0; after += 1) {
        await using proxy = await openProxy(database.connectionString);
        proxy.answer(refusal, { after, once: true });
        const output = await runCli([...call, "--database-url", proxy.connectionString]);
        ({ answered } = proxy);
        // Before the work has begun it is tried again.
        if (output.code === 0) continue;
        failed += 1;
        const said = /terminating connection\. It is unknown whether the command took effect: check before/;
        expect(faultsOf(output, { code: "HOWDAH_CONNECTION_LOST", said }, call)).toEqual([]);
      }
      expect(failed).toBeGreaterThan(0);
    };
    // `health` fails for want of a worker, too.
    await Promise.all(oneEach("demo", "work", "show", "health", WAITS, FINDS, SERVES).map(endFor));
  });
});

describe("every command ends by itself", () => {
  it("when its database cannot be worked on", { timeout: 60_000 }, async () => {
    const url = urlAs(database, { username: stranger });
    for (const { usage } of COMMANDS) {
      const call = CALLS.find(([name]) => name === usage.split(" ")[0]);
      if (!call) continue;
      const output = await runProcess([...call, "--database-url", url]);
      expect(faultsOf(output, { code: "HOWDAH_DATABASE_FORBIDDEN", said: /permission denied/ }, call)).toEqual([]);
    }
  });
});

async function runProcess(args: readonly string[]): Promise<CliOutput> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, HOWDAH_LOG: "warn" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { out: "", error: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.error += text));
  await once(child, "close");
  return { code: child.exitCode ?? -1, ...output };
}

async function set({ sql, connectionString }: TestDatabase, setting: string, value: string): Promise<void> {
  await sql(`alter database ${new URL(connectionString).pathname.slice(1)} set ${setting} = '${value}'`);
}

/** The superuser's own. */
function passwordOf({ connectionString }: TestDatabase): string {
  return new URL(connectionString).password;
}

/** A server that answers every connection with an error. */
async function openRefusing(refusal: Refusal) {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(refusalBytes(refusal)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  return {
    url: `postgresql://me:${PASSWORD}@127.0.0.1:${port}/database`,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
