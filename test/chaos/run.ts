import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "../../src/client/migrate-schema.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import { configurationsOf } from "./configurations.ts";
import { createCrew } from "./crew.ts";
import { createHistory } from "./history.ts";
import { judge, type Verdict } from "./judge.ts";
import { rateOf, startRuleChanger } from "./limited-queues.ts";
import { appendTo, micros, readLedgers, type LedgerLine, type UntimedLine } from "./ledger.ts";
import { producerPlaces, workerPlace } from "./places.ts";
import { createPlan, type Fault } from "./plan.ts";
import { awaitDrained, awaitSwept, readFinalTables, watchEnds } from "./queue-state.ts";
import { type ChaosServer, startChaosServer } from "./server.ts";
import type { Settings } from "./settings.ts";
import { noneStruck, openProxies, strike, type Ground, type Struck } from "./strike.ts";

/** What a run came to. */
export interface RunResult extends Verdict {
  readonly struck: Struck;
  readonly seconds: number;
  /** How often workers reported which error in the background, for the analysis of a failure. */
  readonly errors: Readonly<Record<string, number>>;
  /** Where the ledgers are; `undefined` when they are not needed. */
  readonly ledgers: string | undefined;
}

/** More memory than this in one process would be growth: an idle worker has some 80 MB. */
const MOST_RSS_BYTES = 400 * 1024 * 1024;

/** Sessions of the suite, which count, sweep, or pin a snapshot. */
const SPARE_SESSIONS = 20;
const SESSIONS_OF_PRODUCER = 5;
/** One to listen, and one that the server has not yet noticed to be gone, for each of its connections. */
const LISTENING_SESSIONS = 1;

/** How long processes may take to end when there is nothing left to do. */
const END_MS = 30_000;

/** Runs jobs while things break, and judges what has happened. `say` is told how it goes. */
export async function runChaos(settings: Settings, say: (line: string) => void): Promise<RunResult> {
  const startedAt = systemClock.monotonic();
  const folder = await mkdtemp(join(tmpdir(), "howdah-ledgers-"));
  await using server = await startChaosServer();
  const { connectionString } = server;
  await migrate({ connectionString, logger: silentLogger });
  await watchEnds(server);
  const configurations = configurationsOf(settings.workers);
  const linked = configurations.flatMap(({ linked: isLinked }, place) => (isLinked ? [place] : []));
  const proxies = await openProxies(connectionString, linked);
  const tell = appendTo(join(folder, "faults.jsonl"));
  const places = configurations.map((configuration, place) =>
    workerPlace(configuration, place, proxies.get(place)?.connectionString ?? connectionString),
  );
  const workers = createCrew({ folder, tell, places });
  const producers = createCrew({ folder, tell, places: producerPlaces({ settings, folder, connectionString }) });
  const changer = await startRuleChanger({ connectionString, settings, tell });
  const stopCounting = countSessions(server, tell);
  workers.start();
  producers.start();
  const ground: Ground = { server, connectionString, workers, producers, proxies, tell };
  const struck = await strikeAll(createPlan(settings.seed, { ...settings, linked }), ground, say);
  await producers.finished();
  await changer.stop();
  say("All jobs are added and nothing breaks any more; waiting until they have run.");
  const drained = await awaitDrained(server, say);
  const late = (await producers.end(END_MS)) + (await workers.end(END_MS));
  const swept = drained && (await sweepUp({ folder, tell, server, say }));
  await stopCounting();
  for (const proxy of proxies.values()) await proxy.close();
  const tables = await readFinalTables(server);
  const ledgers = await readLedgers(folder);
  const history = createHistory(ledgers);
  const verdict = judge({
    history,
    tables,
    failing: settings.failing,
    rate: rateOf(settings),
    wallOffset: systemClock.now() * 1_000 - micros(),
    limits: { connections: mostSessions(settings), rssBytes: MOST_RSS_BYTES },
  });
  const violations = [
    ...(drained ? [] : [{ rule: "nothing is lost", text: "jobs or locks were left when nothing went on any more" }]),
    ...(swept ? [] : [{ rule: "nothing is left behind", text: "the dead were not taken off the register" }]),
    ...(late === 0 ? [] : [{ rule: "nothing grows", text: `${late} processes did not end when told to` }]),
    ...verdict.violations,
  ];
  if (violations.length === 0) await rm(folder, { recursive: true, force: true });
  return {
    violations,
    counts: { ...verdict.counts, processes: history.processes },
    struck,
    seconds: (systemClock.monotonic() - startedAt) / 1_000,
    errors: countErrors(ledgers.flatMap(({ lines }) => lines)),
    ledgers: violations.length === 0 ? undefined : folder,
  };
}

interface SweepUp {
  readonly folder: string;
  readonly tell: (line: UntimedLine) => void;
  readonly server: ChaosServer;
  readonly say: (line: string) => void;
}

/** The last worker that died was not noticed: the next worker that starts does. */
async function sweepUp({ folder, tell, server, say }: SweepUp): Promise<boolean> {
  const [configuration] = configurationsOf(1);
  if (!configuration) return false;
  const place = { ...workerPlace(configuration, 0, server.connectionString), name: "sweeper" };
  const crew = createCrew({ folder, tell, places: [place] });
  const dead = (await readFinalTables(server)).workers;
  crew.start();
  const swept = await awaitSwept(server, { dead, say });
  return (await crew.end(END_MS)) === 0 && swept;
}

/** Lets every fault begin at its time, and waits until all of them are over. */
async function strikeAll(plan: readonly Fault[], ground: Ground, say: (line: string) => void): Promise<Struck> {
  const startedAt = systemClock.monotonic();
  const struck = noneStruck();
  const strikes: Promise<void>[] = [];
  for (const fault of plan) {
    await systemClock.sleep(startedAt + fault.atMs - systemClock.monotonic());
    const one = strike(fault, ground).then(
      (happened) => void (struck[fault.kind] += happened ? 1 : 0),
      // There may be no server to do it with.
      (error: unknown) => say(`${describe(fault)} did not happen: ${String(error)}`),
    );
    strikes.push(one);
  }
  await Promise.all(strikes);
  return struck;
}

function describe({ atMs, kind, ...rest }: Fault): string {
  return `${kind} ${JSON.stringify(rest)} at ${(atMs / 1_000).toFixed(1)} s`;
}

/** Writes down now and then how many sessions there are. */
function countSessions(server: ChaosServer, tell: (line: UntimedLine) => void): () => Promise<void> {
  const stopping = new AbortController();
  const counting = count();
  async function count(): Promise<void> {
    while (!stopping.signal.aborted) {
      const rows = await server
        .ask("select count(*)::integer as count from pg_stat_activity where backend_type = 'client backend'")
        .catch(() => []);
      if (rows[0]) tell({ e: "connections", count: Number(rows[0]["count"]) });
      await systemClock.sleep(500, stopping.signal);
    }
  }
  return async () => {
    stopping.abort();
    await counting;
  };
}

function mostSessions({ workers, producers }: Settings): number {
  const perWorker = configurationsOf(workers).map(
    ({ options }) => 2 * ((options.maxConnections ?? 10) + LISTENING_SESSIONS),
  );
  return perWorker.reduce((sum, sessions) => sum + sessions, 0) + producers * SESSIONS_OF_PRODUCER + SPARE_SESSIONS;
}

function countErrors(lines: readonly LedgerLine[]): Record<string, number> {
  const errors: Record<string, number> = {};
  for (const line of lines) {
    if (line.e !== "error") continue;
    const text = `${line.activity}: ${line.message}`.replace(/\d+/g, "N");
    errors[text] = (errors[text] ?? 0) + 1;
  }
  return errors;
}
