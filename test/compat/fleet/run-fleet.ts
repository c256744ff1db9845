import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configurationsOf } from "../../chaos/configurations.ts";
import { createCrew, type Crew, type Place as CrewPlace } from "../../chaos/crew.ts";
import { createHistory } from "../../chaos/history.ts";
import { appendTo, micros, parseLedger, readLedgers, type UntimedLine } from "../../chaos/ledger.ts";
import { awaitDrained, readFinalTables, type Asked } from "../../chaos/queue-state.ts";
import { createRandom, type Random } from "../../chaos/random.ts";
import { createClient } from "../../../src/client/create-client.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { until } from "../../harness/until.ts";
import { mainFile, RELEASE } from "../graphile-worker.ts";
import { SCHEMA, type Place } from "../layouts.ts";
import { judgeFleet, type FleetVerdict } from "./judge-fleet.ts";
import { readClaims, watchClaims } from "./watch.ts";

/** How a fleet runs. */
export interface FleetSettings {
  readonly seed: number;
  /** How long jobs are added and processes killed, in milliseconds. */
  readonly durationMs: number;
  /** How many jobs each of the two producers adds. */
  readonly jobs: number;
  readonly kills: number;
}

/** What a fleet came to. */
export interface FleetResult extends FleetVerdict {
  readonly kills: { readonly ours: number; readonly theirs: number };
  /** How many handlers each side has run. */
  readonly runs: { readonly ours: number; readonly theirs: number };
  /** Where the ledgers are; `undefined` when they are not needed. */
  readonly folder: string | undefined;
}

/** Two workers of each side, one of them with a local queue: the places of the fleet in this order. */
const OURS = [configurationsOf(2)[0], configurationsOf(2)[1]];
const THEIRS = [
  { concurrentJobs: 4, pollInterval: 250 },
  { concurrentJobs: 4, pollInterval: 250, localQueue: { size: 20, ttl: 60_000 }, completeJobBatchDelay: 5 },
];
const PLACES = OURS.length + THEIRS.length;
const isTheirs = (place: number): boolean => place >= OURS.length;

const KEYS = 12;
const END_MS = 30_000;

/** Runs two workers of Howdah and two of graphile-worker on one schema, kills them now and then, and judges. */
export async function runFleet(place: Place, settings: FleetSettings): Promise<FleetResult> {
  const folder = await mkdtemp(join(tmpdir(), "howdah-fleet-"));
  const server: Asked = { ask: (text, values) => place.sql(text, values) };
  await watchClaims(server);
  const append = appendTo(join(folder, "faults.jsonl"));
  const killed: string[] = [];
  const tell = (line: UntimedLine): void => {
    append(line);
    if (line.e === "killed") killed.push(line.of);
  };
  const { connectionString } = place.database;
  const workers = createCrew({ folder, tell, places: workerPlaces(connectionString) });
  const producers = createCrew({ folder, tell, places: producerPlaces(connectionString, settings) });
  workers.start();
  producers.start();
  const unlocking = unlockDeadPools({ place, folder, killed });
  const random = createRandom(settings.seed);
  const [kills, keyedAdds] = await Promise.all([
    killSome(workers, settings, random),
    addKeyed(place, settings.durationMs),
    producers.finished(),
  ]);
  const [{ now } = {}] = await place.sql("select clock_timestamp()::text as now");
  const drained = await awaitDrained(server, () => {});
  await awaitForgotten(place, String(now));
  await workers.end(END_MS);
  await unlocking.stop();
  // What a later add with its key has replaced while it ran need not have ended well.
  await place.sql(
    "delete from howdah._private_jobs where task_id = (select id from howdah._private_tasks where identifier = 'keyed')",
  );
  const ledgers = await readLedgers(folder);
  const history = createHistory(ledgers);
  const verdict = judgeFleet({
    history,
    ledgers,
    tables: await readFinalTables(server),
    claims: await readClaims(server),
    failing: true,
    wallOffset: systemClock.now() * 1_000 - micros(),
    limits: { connections: Number.POSITIVE_INFINITY, rssBytes: 400 * 1024 * 1024 },
    isCareless: (file) => RELEASE === "0.17" && file.startsWith(`worker-${PLACES - 1}-`),
    keyedAdds,
  });
  const violations = [
    ...(drained ? [] : [{ rule: "nothing is lost", text: "jobs or locks were left when nothing went on any more" }]),
    ...verdict.violations,
  ];
  if (violations.length === 0) await rm(folder, { recursive: true, force: true });
  const theirRuns = history.runs.filter(({ file }) => isTheirs(Number(/^worker-(\d+)-/.exec(file)?.[1]))).length;
  return {
    ...verdict,
    violations,
    kills,
    runs: { ours: history.runs.length - theirRuns, theirs: theirRuns },
    folder: violations.length === 0 ? undefined : folder,
  };
}

function workerPlaces(connectionString: string): CrewPlace[] {
  const ours = OURS.map((configuration, place): CrewPlace => {
    const options = { ...configuration?.options, connectionString, schema: SCHEMA };
    return { name: `worker-${place}`, script: "worker", nextOptions: () => Promise.resolve({ place, options }) };
  });
  const theirs = THEIRS.map((worker, index): CrewPlace => {
    const place = OURS.length + index;
    const given = { place, main: mainFile(), connectionString, schema: SCHEMA, worker };
    return {
      name: `worker-${place}`,
      script: new URL("fixtures/their-worker.mjs", import.meta.url),
      nextOptions: () => Promise.resolve(given),
    };
  });
  return [...ours, ...theirs];
}

function producerPlaces(connectionString: string, { seed, jobs, durationMs }: FleetSettings): CrewPlace[] {
  const perSecond = jobs / ((durationMs / 1_000) * 0.9);
  const theirs = new URL("fixtures/their-producer.mjs", import.meta.url);
  return [
    once("producer-0", "producer", { place: 0, seed, connectionString, jobs, perSecond, failing: true }),
    once("producer-1", theirs, { place: 1, main: mainFile(), connectionString, schema: SCHEMA, jobs, perSecond }),
  ];
}

/** A place for one process. */
function once(name: string, script: CrewPlace["script"], options: object): CrewPlace {
  let isStarted = false;
  return {
    name,
    script,
    nextOptions() {
      if (isStarted) return Promise.resolve(undefined);
      isStarted = true;
      return Promise.resolve(options);
    },
  };
}

/** kill -9 of workers of both sides in turn, at random moments. */
async function killSome(
  workers: Crew,
  { durationMs, kills }: FleetSettings,
  random: Random,
): Promise<FleetResult["kills"]> {
  const startedAt = systemClock.monotonic();
  const counts = { ours: 0, theirs: 0 };
  for (let index = 0; index < kills; index += 1) {
    const at = (durationMs * (index + 0.3 + 0.6 * random.next())) / kills;
    await systemClock.sleep(Math.max(0, startedAt + at - systemClock.monotonic()));
    const place = index % PLACES;
    if (workers.kill(place)) counts[isTheirs(place) ? "theirs" : "ours"] += 1;
  }
  return counts;
}

/** Adds to the same keys from both sides in turn until the time is over. Returns how often for each key. */
async function addKeyed(place: Place, durationMs: number): Promise<ReadonlyMap<string, number>> {
  const { connectionString } = place.database;
  await using client = await createClient({ connectionString, schema: SCHEMA, migrate: false, logger: silentLogger });
  const utils = await place.theirs.makeWorkerUtils(place.options);
  const counts = new Map<string, number>();
  const endAt = systemClock.monotonic() + durationMs;
  for (let index = 0; systemClock.monotonic() < endAt; index += 1) {
    const key = `key-${index % KEYS}`;
    const n = (counts.get(key) ?? 0) + 1;
    const payload = { key, n, ms: index % 50 };
    if (index % 2 === 0) await utils.addJob("keyed", payload, { jobKey: key });
    else await client.addJob("keyed", payload, { jobKey: key });
    counts.set(key, n);
    await systemClock.sleep(25);
  }
  await utils.release();
  return counts;
}

interface DeadPools {
  readonly place: Place;
  readonly folder: string;
  /** Ledgers of processes that were killed. */
  readonly killed: readonly string[];
}

/**
 * What graphile-worker asks of an operator when one of its pools has died:
 * unlock what it has locked. Again and again, because a claim that was under way
 * may be committed after the process is gone.
 */
function unlockDeadPools({ place, folder, killed }: DeadPools): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const working = work();
  async function work(): Promise<void> {
    while (!stopping.signal.aborted) {
      const pools = await Promise.all(killed.map((file) => poolOf(folder, file)));
      const dead = pools.filter((id) => id?.startsWith("pool-"));
      if (dead.length > 0) await place.sql("select howdah.force_unlock_workers($1)", [dead]);
      await systemClock.sleep(500, stopping.signal);
    }
  }
  return {
    async stop() {
      stopping.abort();
      await working;
    },
  };
}

/** The pool of a process by its ledger; `undefined` when the process died before it wrote that down, or is none of theirs. */
async function poolOf(folder: string, file: string): Promise<string | undefined> {
  const text = await readFile(join(folder, file), "utf8").catch(() => "");
  const ready = parseLedger(text, file).find((line) => line.e === "ready");
  return ready?.e === "ready" ? ready.w : undefined;
}

/** Waits until the workers of Howdah that are registered are those that live: a killed one has no heartbeat after `killed`. */
async function awaitForgotten(place: Place, killed: string): Promise<void> {
  const silent = "select from howdah._private_workers where last_heartbeat_at <= $1::timestamptz";
  await until(async () => (await place.sql(silent, [killed])).length === 0, {
    deadlineMs: 60_000,
    message: "the killed workers to be declared dead",
  });
}
