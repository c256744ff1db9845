import type { WorkerOptions } from "../../src/worker/options.ts";

/** One way to set up a worker, and whether its connections lead through a proxy. More than half do, so that a restart of all proxies cuts off most workers. */
export interface Configuration {
  readonly name: string;
  readonly options: Omit<WorkerOptions, "tasks">;
  readonly linked?: boolean;
}

/** Timing that a run of a minute can show: everything that takes its time by default is made short. */
const IMPATIENT: Configuration["options"] = {
  pollInterval: "250ms",
  connectTimeout: "30s",
  // Also how long a worker waits until it gives back what a claim without an answer has locked: twice that.
  statementTimeout: "4s",
  maxConnections: 4,
  recovery: {
    heartbeatInterval: "300ms",
    sweepInterval: "300ms",
    heartbeatTimeout: "500ms",
    // More than a living worker may be silent for: 1.8 s, and what a busy machine adds.
    lockLossTimeout: "3s",
    sweepThreshold: "5s",
    // More than a restart of the proxies takes.
    watchTime: "6s",
    recoveryDelay: "100ms",
    contactTimeout: "2s",
    queueDelay: "3s",
    orphanInterval: "2s",
  },
  shutdown: { gracePeriod: "300ms", abortPeriod: "300ms", interruptedJobRetryDelay: "200ms" },
};

/** Different on purpose: what one of them does must not surprise another. */
const CONFIGURATIONS: readonly Configuration[] = [
  { name: "direct", options: { concurrency: 6 }, linked: true },
  { name: "local queue", options: { concurrency: 6, localQueue: { size: 60 } }, linked: true },
  {
    name: "direct, reads nothing ahead, goes idle",
    options: {
      concurrency: 4,
      readAhead: false,
      pollInterval: "adaptive",
      idleTimeout: "100ms",
      idlePollInterval: "500ms",
    },
    linked: true,
  },
  {
    name: "two local queues, batch delays, short ttl",
    options: {
      concurrency: 6,
      localQueue: { size: 40, ttl: "600ms", queueCount: 2, refetchDelay: { duration: "50ms", threshold: 5 } },
      completeJobBatchDelay: "20ms",
      failJobBatchDelay: "20ms",
    },
    linked: true,
  },
  {
    name: "local queue, completions in batches",
    options: { concurrency: 4, localQueue: { size: 30 }, completeJobBatchDelay: "10ms" },
    linked: true,
  },
  // These two are on a way of their own to the server, and see the others go.
  { name: "polling only", options: { concurrency: 4, useNotificationDelivery: false } },
  {
    name: "local queue, polling only",
    options: { concurrency: 4, useNotificationDelivery: false, localQueue: { size: 50, ttl: "2s" } },
  },
];

/** The configurations of N workers: each of the list in turn. */
export function configurationsOf(workers: number): Configuration[] {
  return Array.from({ length: workers }, (_, place) => {
    const configuration = CONFIGURATIONS[place % CONFIGURATIONS.length] as Configuration;
    return { ...configuration, options: { ...IMPATIENT, ...configuration.options } };
  });
}
