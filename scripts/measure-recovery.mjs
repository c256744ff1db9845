/**
 * Measures at default settings how long after the death of its worker a job
 * starts elsewhere: `node scripts/measure-recovery.mjs [--victims 6] [--rounds 1]`.
 * With --vanished (Linux, root) the worker does not die but its network does:
 * it runs in a network namespace whose link is taken away. With --restart the
 * worker is the only one, and is started again at once; the time counts from the
 * moment at which that process is ready to run. --lives 4 kills what was started
 * after N seconds, again and again; --no-evidence hides which processes the
 * dead were, as if each had run in a container of its own.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, chmodSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { systemClock } from "../dist/runtime/clock.js";
import { createClient, createWorker, defineTask, silentLogger } from "../dist/index.js";
import { pgDriver } from "../dist/postgres/drivers/pg.js";
import { startPostgres } from "../dist/embedded/index.js";

const { values } = parseArgs({
  options: {
    victims: { type: "string", default: "6" },
    rounds: { type: "string", default: "1" },
    vanished: { type: "boolean", default: false },
    restart: { type: "boolean", default: false },
    lives: { type: "string" },
    "no-evidence": { type: "boolean", default: false },
    victim: { type: "string" },
    schema: { type: "string", default: "howdah" },
    ends: { type: "boolean", default: false },
    url: { type: "string" },
  },
});
const pause = (ms) => systemClock.sleep(ms);
const say = (line) => process.stdout.write(`${line}\n`);

if (values.victim) await beVictim();
else if (values.restart) await measureRestarts();
else await measure();

/** Holds a job without a queue and one with until it dies; with --ends it tells of each and ends it. */
async function beVictim() {
  const held = defineTask({ identifier: values.victim, run: () => (values.ends ? undefined : new Promise(() => {})) });
  const worker = await createWorker({
    connectionString: values.url,
    schema: values.schema,
    tasks: [held],
    migrate: false,
    concurrency: 2,
    logger: silentLogger,
    hooks: { jobStart: ({ job }) => say(values.ends ? (job.queueName ? "withQueue" : "withoutQueue") : "holds") },
  });
  say("runs");
  await worker.run();
}

async function measure() {
  const times = { withoutQueue: [], withQueue: [] };
  for (let round = 0; round < Number(values.rounds); round += 1) await measureOnce(times);
  tell(times);
}

function tell(times) {
  for (const [name, found] of Object.entries(times)) {
    const sorted = [...found].sort((a, b) => a - b);
    const seconds = (ms) => (ms / 1000).toFixed(1);
    const median = sorted[Math.floor(sorted.length / 2)];
    if (sorted.length === 0) continue;
    say(`${name}: ${sorted.length} deaths, median ${seconds(median)} s, worst ${seconds(sorted.at(-1))} s`);
  }
}

async function measureOnce(times) {
  const network = values.vanished ? createNetwork() : undefined;
  process.once("exit", () => network?.remove());
  const server = await startServer(network);
  const count = Number(values.victims);
  const tasks = Array.from({ length: count }, (_, index) => `held_${index}`);
  const killedAt = new Map();
  const startedAt = new Map();
  const helper = await createWorker({
    connectionString: server.localUrl,
    tasks: tasks.map((identifier) => defineTask({ identifier, run: () => undefined })),
    concurrency: 4,
    logger: silentLogger,
    hooks: {
      jobStart: ({ job }) =>
        startedAt.set(`${job.task} ${job.queueName ? "withQueue" : "withoutQueue"}`, performance.now()),
    },
  });
  const victims = [];
  for (const task of tasks) {
    await helper.client.addJob(task);
    await helper.client.addJob(task, {}, { queueName: task });
    victims.push(await startVictim(task, server.remoteUrl, { network }));
  }
  const running = helper.run();
  // The helper has to have watched for a while; after that every moment is like every other.
  await pause(35_000);
  if (network) {
    for (const task of tasks) killedAt.set(task, performance.now());
    network.cut();
    // Another process may be sending to the vanished one at any time.
    for (let count = 0; count < 20; count += 1) {
      await helper.client.addJob("noise");
      await pause(500);
    }
  } else {
    for (const [index, victim] of victims.entries()) {
      await pause(Math.random() * 5_000);
      killedAt.set(tasks[index], performance.now());
      victim.kill("SIGKILL");
    }
  }
  const deadline = performance.now() + 120_000;
  while (startedAt.size < 2 * count && performance.now() < deadline) await pause(50);
  for (const [key, at] of startedAt) {
    const [task, kind] = key.split(" ");
    times[kind].push(at - killedAt.get(task));
  }
  if (startedAt.size < 2 * count) say(`${2 * count - startedAt.size} jobs did not start within two minutes`);
  await helper.stop();
  await running;
  for (const victim of victims) victim.kill("SIGKILL");
  await server.stop();
  network?.remove();
}

/** Each victim in a schema of its own, all at the same time. */
async function measureRestarts() {
  const times = { withoutQueue: [], withQueue: [] };
  const server = await startServer();
  const schemas = Array.from({ length: Number(values.victims) }, (_, index) => `alone_${index}`);
  await Promise.all(schemas.map((schema) => measureRestart(schema, server.localUrl, times)));
  tell(times);
  await server.stop();
}

async function measureRestart(schema, url, times) {
  const client = await createClient({ connectionString: url, schema, logger: silentLogger });
  const database = pgDriver({ connectionString: url });
  await client.addJob("held");
  await client.addJob("held", {}, { queueName: "held" });
  const victim = await startVictim("held", url, { schema });
  const hide = () => database.query({ text: `update ${schema}._private_workers set _howdah_process = null` });
  // Its session is known by then; after that every moment is like every other.
  await pause(6_000 + Math.random() * 4_000);
  victim.kill("SIGKILL");
  await once(victim, "exit");
  if (values["no-evidence"]) await hide();
  const restartedAt = performance.now();
  let startedAt;
  let lives = 0;
  const wanted = new Set(Object.keys(times));
  while (wanted.size > 0 && performance.now() - restartedAt < 120_000) {
    const args = [fileURLToPath(import.meta.url), "--victim", "held", "--url", url, "--schema", schema, "--ends"];
    const next = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let runsAt;
    lives += 1;
    createInterface({ input: next.stdout }).on("line", (kind) => {
      // How long a busy machine takes to start a process is another matter.
      if (kind === "runs") runsAt = performance.now();
      startedAt ??= runsAt;
      if (wanted.delete(kind)) times[kind].push(performance.now() - (startedAt ?? restartedAt));
    });
    // A life counts from there, too.
    const isOver = () => runsAt !== undefined && values.lives && performance.now() > runsAt + 1_000 * values.lives;
    while (!isOver() && performance.now() - restartedAt < 120_000 && wanted.size > 0) await pause(20);
    next.kill("SIGKILL");
    await once(next, "exit");
    if (values["no-evidence"]) await hide();
    // Queues of workers that keep dying are another matter: they need half a minute.
    if (values.lives && !wanted.has("withoutQueue")) break;
  }
  if (wanted.has("withoutQueue")) say(`${schema}: did not start within two minutes, in ${lives} lives`);
  await client.close();
  await database.close();
}

async function startVictim(task, url, { network, schema = values.schema } = {}) {
  const self = [fileURLToPath(import.meta.url), "--victim", task, "--url", url, "--schema", schema];
  const [command, args] = network ? network.inside([process.execPath, ...self]) : [process.execPath, self];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let holding = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === "holds") holding += 1;
    if (holding === 2) return child;
  }
  throw new Error(`The worker of ${task} has ended`);
}

/** The embedded server; for a network of its own, the same data under a server that listens there, too. */
async function startServer(network) {
  const folder = mkdtempSync(join(tmpdir(), "howdah-recovery-"));
  // PostgreSQL may have to run as another user than root.
  chmodSync(folder, 0o777);
  const dataDir = join(folder, "data");
  const server = await startPostgres({ dataDir });
  const url = new URL(server.connectionString);
  const first = await createWorker({
    connectionString: url.href,
    tasks: [defineTask({ identifier: "none", run: () => undefined })],
    logger: silentLogger,
  });
  await first.stop();
  const remove = () => rmSync(folder, { recursive: true, force: true });
  if (!network) return { localUrl: url.href, remoteUrl: url.href, stop: () => server.stop().then(remove) };

  // The program that this user may run, wherever it lies.
  const found = execFileSync("find", [dataDir, "-name", "postmaster.pid"], { encoding: "utf8" }).trim();
  const [pid] = readFileSync(found, "utf8").split("\n");
  const program = readlinkSync(`/proc/${pid}/exe`);
  await server.stop();
  appendFileSync(join(dirname(found), "pg_hba.conf"), `\nhost all all ${network.range} trust\n`);
  const owner = execFileSync("stat", ["-c", "%U", dirname(found)], { encoding: "utf8" }).trim();
  const listening = `-c listen_addresses=127.0.0.1,${network.address} -c port=${url.port}`;
  const command = `exec ${program} -D ${dirname(found)} ${listening}`;
  const child = spawn("su", [owner, "-s", "/bin/sh", "-c", command], { stdio: "ignore" });
  await pause(2_000);
  const remote = new URL(url);
  remote.hostname = network.address;
  return {
    localUrl: url.href,
    remoteUrl: remote.href,
    async stop() {
      child.kill("SIGINT");
      await once(child, "exit");
      remove();
    },
  };
}

/** A network namespace with one link to this machine. */
function createNetwork() {
  const name = `howdah${process.pid}`;
  let isThere = true;
  const ip = (...args) => execFileSync("ip", args);
  ip("netns", "add", name);
  ip("link", "add", "howdah-a", "type", "veth", "peer", "name", "howdah-b", "netns", name);
  ip("addr", "add", "10.213.7.1/24", "dev", "howdah-a");
  ip("link", "set", "howdah-a", "up");
  ip("-n", name, "addr", "add", "10.213.7.2/24", "dev", "howdah-b");
  ip("-n", name, "link", "set", "howdah-b", "up");
  ip("-n", name, "link", "set", "lo", "up");
  return {
    address: "10.213.7.1",
    range: "10.213.7.0/24",
    inside: (command) => ["ip", ["netns", "exec", name, ...command]],
    // Packets get lost on the way, as on a host that has lost its power: no side is notified.
    cut: () => ip("-n", name, "link", "set", "howdah-b", "down"),
    remove() {
      if (isThere) ip("netns", "del", name);
      isThere = false;
    },
  };
}
