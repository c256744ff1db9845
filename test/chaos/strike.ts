import { openProxy, type Proxy } from "../harness/proxy.ts";
import { createClient } from "../../src/client/create-client.ts";
import pg from "pg";
import { systemClock } from "../../src/runtime/clock.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import type { Crew } from "./crew.ts";
import type { Fault, FaultKind, LinkEffect } from "./plan.ts";
import type { UntimedLine } from "./ledger.ts";
import type { ChaosServer } from "./server.ts";

/** What faults can be injected into. */
export interface Ground {
  readonly server: ChaosServer;
  /** Where the queue is. */
  readonly connectionString: string;
  readonly workers: Crew;
  readonly producers: Crew;
  /** The proxies of the workers whose connections lead through one, by their place. */
  readonly proxies: ReadonlyMap<number, Proxy>;
  /** Writes down what the judge has to know. */
  readonly tell: (line: UntimedLine) => void;
}

/** How often each fault has really happened. */
export type Struck = Record<FaultKind, number>;

/** No fault so far. */
export function noneStruck(): Struck {
  return {
    kill: 0,
    shutdown: 0,
    freeze: 0,
    killProducer: 0,
    restart: 0,
    terminate: 0,
    link: 0,
    halfOpen: 0,
    proxyRestart: 0,
    pin: 0,
    sweep: 0,
  };
}

/** What the sessions of one worker are called in pg_stat_activity. */
export function sessionNameOf(place: number): string {
  return `chaos-worker-${place}`;
}

/**
 * Carries out a fault and resolves when it is over: true when it has happened,
 * false when there was no target, or no server to do it with.
 */
export async function strike(fault: Fault, ground: Ground): Promise<boolean> {
  const { workers, producers, server } = ground;
  switch (fault.kind) {
    case "kill":
      return workers.kill(fault.place);
    case "shutdown":
      return workers.shutDown(fault.place);
    case "killProducer":
      return producers.kill(fault.place);
    case "freeze":
      return freeze(fault, ground);
    case "restart":
      await server.restart(fault.mode, fault.downMs);
      return true;
    case "terminate":
      return terminate(fault.share, ground);
    case "link":
      return breakLink(fault, ground);
    case "halfOpen":
      for (const place of fault.places) ground.proxies.get(place)?.strand();
      return ground.proxies.size > 0;
    case "proxyRestart":
      return restartProxies(fault.downMs, ground);
    case "pin":
      return pinSnapshot(fault.forMs, ground);
    case "sweep":
      return sweepTwice(ground);
    default:
      return fault satisfies never;
  }
}

/** A process that stands still looks alive while its sessions are there, so they are ended, too. */
async function freeze(
  { place, forMs }: { readonly place: number; readonly forMs: number },
  { workers, server }: Ground,
): Promise<boolean> {
  const frozen = workers.freeze(place, forMs);
  await server
    .ask("select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1", [sessionNameOf(place)])
    .catch(ignore);
  return frozen;
}

/** A worker says something now and then, unless it was killed. */
const CATCH_MS = 5_000;

async function terminate(share: number, { server }: Ground): Promise<boolean> {
  const rows = await server.ask(
    `with session as (
       select pid, row_number() over (order by pid) - 1 as number, count(*) over () as count from pg_stat_activity
       where application_name like 'chaos-worker-%' or application_name like 'chaos-producer-%'
     )
     select pg_terminate_backend(pid) as done from session where number = floor($1::float8 * count)`,
    [share],
  );
  return rows[0]?.["done"] === true;
}

async function breakLink(
  { place, effect, forMs }: { readonly place: number; readonly effect: LinkEffect; readonly forMs: number },
  { proxies, tell }: Ground,
): Promise<boolean> {
  const proxy = proxies.get(place);
  if (!proxy) return false;
  switch (effect) {
    case "cut":
      proxy.cut();
      return true;
    case "loseQuery":
    case "loseAnswer": {
      // Whatever it sends next; most of it are claims and releases.
      const caught = proxy.next(/_howdah_/, effect === "loseQuery" ? "before" : "after");
      await Promise.race([caught.then((statement) => statement.cut()), systemClock.sleep(CATCH_MS)]);
      return true;
    }
    case "delay":
      tell({ e: "away", places: [place] });
      proxy.delay("up", 80);
      proxy.delay("down", 80);
      await systemClock.sleep(forMs);
      proxy.delay("up", 0);
      proxy.delay("down", 0);
      tell({ e: "back", places: [place] });
      return true;
    case "blackhole":
      tell({ e: "away", places: [place] });
      proxy.hold();
      await systemClock.sleep(forMs);
      proxy.allow();
      tell({ e: "back", places: [place] });
      return true;
    default:
      return effect satisfies never;
  }
}

/** As one proxy for all of them would do it: what it carries is reset, then it does not listen, then it is back. */
async function restartProxies(downMs: number, { proxies, tell }: Ground): Promise<boolean> {
  const places = [...proxies.keys()];
  tell({ e: "away", places });
  for (const proxy of proxies.values()) proxy.refuse();
  await systemClock.sleep(downMs);
  for (const proxy of proxies.values()) proxy.allow();
  tell({ e: "back", places });
  return places.length > 0;
}

/** Keeps every row version that is there now, dead ones included, from being removed. */
async function pinSnapshot(forMs: number, { connectionString }: Ground): Promise<boolean> {
  const client = new pg.Client({ connectionString, application_name: "chaos-observer" });
  client.on("error", ignore);
  await client.connect();
  try {
    await client.query("begin isolation level repeatable read");
    await client.query("select count(*) from howdah._private_jobs");
    await systemClock.sleep(forMs);
    return true;
  } finally {
    // A restart may have ended the session before.
    await client.end().catch(ignore);
  }
}

/** Two sweepers from outside, while every worker is one as well. */
async function sweepTwice({ connectionString }: Ground): Promise<boolean> {
  const sweep = async (): Promise<void> => {
    await using client = await createClient({ connectionString, migrate: false, logger: silentLogger });
    await client.sweepStaleWorkers({ sweepThreshold: "5s", recoveryDelay: "100ms" });
  };
  await Promise.all([sweep(), sweep()]);
  return true;
}

/** Opens a proxy for each place of `linked`. */
export async function openProxies(connectionString: string, linked: readonly number[]): Promise<Map<number, Proxy>> {
  const opened = await Promise.all(linked.map(async (place) => [place, await openProxy(connectionString)] as const));
  return new Map(opened);
}

function ignore(): void {}
