import type { EventName, Events } from "../../src/hooks/events.ts";
import { createHooks } from "../../src/hooks/hooks.ts";
import type { Chain } from "../../src/job/chain.ts";
import { Claimer } from "../../src/job/claim/claimer.ts";
import { ChainPace } from "../../src/job/claim/local-queue/chain-pace.ts";
import type { LocalQueueParts } from "../../src/job/claim/local-queue/local-queue.ts";
import type { LocalQueueSettings } from "../../src/job/claim/local-queue/options.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import { createManualClock } from "../../src/testing/manual-clock.ts";
import { createFakeClaims } from "./fake-claims.ts";

/** Something that happened in a local queue. */
export type LocalQueueEvent = { [Name in EventName]: { readonly name: Name; readonly event: Events[Name] } }[EventName];

const LOCAL_QUEUE_EVENTS = [
  "localQueueInit",
  "localQueueSetMode",
  "localQueueGetJobsComplete",
  "localQueueReturnJobs",
  "localQueueRefetchDelayStart",
  "localQueueRefetchDelayAbort",
  "localQueueRefetchDelayExpired",
] as const;

/** What a local queue is told in a test, beside its settings. */
export interface LocalQueueSetUp extends Partial<LocalQueueSettings> {
  readonly pollIntervalMs?: number;
  readonly random?: () => number;
  readonly available?: () => void;
}

/**
 * The parts of local queues over jobs in memory and a manual clock, and what
 * becomes of them. Jobs that are given back can be claimed again at once.
 */
export function createLocalQueueParts(options: LocalQueueSetUp = {}) {
  const { pollIntervalMs = 1_000, random = () => 0.5, available, ...settings } = options;
  const clock = createManualClock();
  const claims = createFakeClaims();
  const hooks = createHooks({ logger: silentLogger, clock });
  const events: LocalQueueEvent[] = [];
  for (const name of LOCAL_QUEUE_EVENTS) {
    hooks.on(name, (event) => void events.push({ name, event } as LocalQueueEvent));
  }
  const returned: string[] = [];
  const started: string[] = [];
  const failures: number[] = [];
  const claimer = new Claimer({
    claim: claims.claim,
    clock,
    pollIntervalMs,
    forbiddenFlags: [],
    tasksGone: () => undefined,
    workerId: () => "w",
    taskIdentifiers: () => new Map([[1, "t"]]),
    claimed: () => undefined,
    uncertain: () => undefined,
  });
  const parts: Omit<LocalQueueParts, "index"> = {
    workerId: () => "w",
    claimer,
    pace: new ChainPace(),
    mostQueues: 10,
    pollIntervalMs,
    clock,
    random,
    hooks,
    settings: {
      size: 10,
      ttlMs: 3e5,
      refetchDelay: undefined,
      queueCount: 1,
      ...settings,
    },
    available: () => available?.(),
    foundMore: () => undefined,
    giveBack(jobs, endsChain) {
      for (const job of jobs) {
        claims.giveBack(job.id);
        returned.push(job.id);
        if (endsChain && job === jobs.at(-1) && job.queueId !== null) claims.unlock(job.queueId);
      }
    },
    failed: (_error, count) => void failures.push(count),
  };

  /** Starts the next job of a chain, as a slot does. */
  function start(chain: Chain | undefined): string | undefined {
    const id = chain?.next()?.id;
    if (id !== undefined) started.push(id);
    return id;
  }

  return {
    parts,
    clock,
    claims,
    claimer,
    hooks,
    events,
    returned,
    started,
    failures,
    start,
    modes: () =>
      events.flatMap(({ name, event }) => (name === "localQueueSetMode" ? [`${event.oldMode}>${event.newMode}`] : [])),
    eventsOf: <Name extends EventName>(wanted: Name): Events[Name][] =>
      events.flatMap(({ name, event }) => (name === wanted ? [event as Events[Name]] : [])),
    held: () => [...claims.claimed].filter((id) => !started.includes(id)).length,
  };
}
