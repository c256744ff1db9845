import type { EventName, Events } from "../../src/hooks/events.ts";
import type { Chain } from "../../src/job/chain.ts";
import { Claimer } from "../../src/job/claim/claimer.ts";
import { ChainPace } from "../../src/job/claim/local-queue/chain-pace.ts";
import type { LocalQueuesParts } from "../../src/job/claim/local-queue/local-queues.ts";
import type { LocalQueueSettings } from "../../src/job/claim/local-queue/options.ts";
import type { UnstartedJobs } from "../../src/job/claim/source.ts";
import type { Identity } from "../../src/job/identity.ts";
import type { Statements } from "../../src/postgres/queries/statements.ts";
import { createFakeClaims } from "./fake-claims.ts";
import { workerContext } from "./worker-context.ts";

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
  readonly concurrency?: number;
  readonly random?: () => number;
  readonly available?: () => void;
}

/**
 * The parts of local queues over jobs in memory and a manual clock, and what
 * becomes of them. Jobs that are given back can be claimed again at once.
 */
export function createLocalQueueParts(options: LocalQueueSetUp = {}) {
  const { pollIntervalMs = 1_000, concurrency = 5, random = () => 0.5, available, ...settings } = options;
  const claims = createFakeClaims();
  const identity = { current: "w" } as Identity;
  const statements = { claim: claims.claim } as Statements;
  const context = workerContext({ identity, statements, random, settings: { concurrency, pollIntervalMs } });
  const { clock, hooks } = context;
  const events: LocalQueueEvent[] = [];
  for (const name of LOCAL_QUEUE_EVENTS) {
    hooks.on(name, (event) => void events.push({ name, event } as LocalQueueEvent));
  }
  const returned: string[] = [];
  const started: string[] = [];
  const errors: unknown[] = [];
  hooks.on("workerError", ({ error }) => void errors.push(error));
  const unstarted: UnstartedJobs = {
    keep: (chains) => chains,
    giveBack({ jobs, endsChain }) {
      for (const job of jobs) {
        claims.giveBack(job.id);
        returned.push(job.id);
        if (endsChain && job === jobs.at(-1) && job.queueId !== null) claims.unlock(job.queueId);
      }
    },
  };
  const claimer = new Claimer(context, { unstarted });
  const state = { room: 0 };
  const parts: LocalQueuesParts = {
    claimer,
    pace: new ChainPace(),
    unstarted,
    host: {
      further: 0,
      get room() {
        return state.room;
      },
      available: () => available?.(),
      drained: () => undefined,
    },
    settings: {
      size: 10,
      ttlMs: 3e5,
      refetchDelay: undefined,
      queueCount: 1,
      ...settings,
    },
  };

  /** Starts the next job of a chain, as a slot does. */
  function start(chain: Chain | undefined): string | undefined {
    const id = chain?.next()?.id;
    if (id !== undefined) started.push(id);
    return id;
  }

  return {
    context,
    parts,
    clock,
    claims,
    claimer,
    /** How many slots are free; none at first. */
    state,
    hooks,
    events,
    returned,
    started,
    errors,
    start,
    modes: () =>
      events.flatMap(({ name, event }) => (name === "localQueueSetMode" ? [`${event.oldMode}>${event.newMode}`] : [])),
    eventsOf: <Name extends EventName>(wanted: Name): Events[Name][] =>
      events.flatMap(({ name, event }) => (name === wanted ? [event as Events[Name]] : [])),
    held: () => [...claims.claimed].filter((id) => !started.includes(id)).length,
  };
}
