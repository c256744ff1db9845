import type { HookEmitter } from "../hooks/hooks.ts";
import type { Claimer } from "../job/claim/claimer.ts";
import { DirectSource } from "../job/claim/direct-source.ts";
import type { ChainPace } from "../job/claim/local-queue/chain-pace.ts";
import { LocalQueues } from "../job/claim/local-queue/local-queues.ts";
import type { LocalQueueSettings } from "../job/claim/local-queue/options.ts";
import type { Source } from "../job/claim/source.ts";
import type { ClaimedJob } from "../job/claimed-job.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Identity } from "../job/identity.ts";

/** How a worker wants to claim. */
export interface SourceSettings {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly hooks: HookEmitter;
  /** `undefined` to claim directly. */
  readonly localQueue: LocalQueueSettings | undefined;
  readonly concurrency: number;
  readonly pollIntervalMs: number;
}

/** What a source of jobs is connected to. */
export interface SourceWiring {
  readonly claimer: Claimer;
  readonly pace: ChainPace;
  /** How many more jobs could start right now. */
  room(): number;
  /** Chains are at hand. */
  available(): void;
  /** A look found nothing more. */
  drained(): void;
  /** These jobs were not started and go back. With `endsChain` the last one frees its queue. */
  giveBack(jobs: readonly ClaimedJob[], endsChain: boolean): void;
  /** A claim failed, for the so-manieth time in a row. */
  failed(error: unknown, failures: number): void;
}

/** How many named queues a fetch looks for: some slots will want a second one before the next fetch is there. */
const QUEUES_PER_SLOT = 2;

/** Creates the source that the settings ask for: local queues, or claims for free slots only. */
export function createSource(settings: SourceSettings, wiring: SourceWiring): Source {
  const { localQueue, clock, pollIntervalMs, concurrency, identity, hooks } = settings;
  const { claimer, pace, room, available, drained, giveBack, failed } = wiring;
  if (!localQueue) {
    return new DirectSource({
      claimer,
      clock,
      pollIntervalMs,
      room,
      available,
      drained,
      failed: (error, { failures }) => failed(error, failures),
    });
  }
  return new LocalQueues(
    {
      settings: localQueue,
      claimer,
      pace,
      clock,
      pollIntervalMs,
      hooks,
      workerId: () => identity.current,
      mostQueues: QUEUES_PER_SLOT * concurrency,
      random: Math.random,
      available,
      giveBack,
      failed,
    },
    concurrency,
  );
}
