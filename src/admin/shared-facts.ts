import type { Client } from "../client/client.ts";
import type { Clock } from "../runtime/clock.ts";
import { SharedRead } from "./shared-read.ts";

/** What several answers are made of, read once for all who ask. */
export class SharedFacts {
  readonly backlog: SharedRead<Awaited<ReturnType<Client["backlog"]>>>;
  readonly queueCounts: SharedRead<Awaited<ReturnType<Client["stats"]>>>;
  readonly workers: SharedRead<Awaited<ReturnType<Client["listActiveWorkers"]>>>;
  readonly pauses: SharedRead<Awaited<ReturnType<Client["listPauses"]>>>;
  readonly samples: SharedRead<Awaited<ReturnType<Client["listSamples"]>>>;
  readonly taskSamples: SharedRead<Awaited<ReturnType<Client["listTaskSamples"]>>>;
  readonly diagnosis: SharedRead<Awaited<ReturnType<Client["diagnose"]>>>;

  constructor(client: Client, clock: Clock) {
    const hourAgo = (): Date => new Date(clock.now() - 3_600_000);
    this.backlog = new SharedRead(() => client.backlog(), clock, SOON_MS);
    this.queueCounts = new SharedRead(() => client.stats({ by: "queue" }), clock, SOON_MS);
    this.workers = new SharedRead(() => client.listActiveWorkers(), clock, SOON_MS);
    this.pauses = new SharedRead(() => client.listPauses(), clock, SOON_MS);
    this.samples = new SharedRead(() => client.listSamples({ limit: 7 }), clock, SOON_MS);
    // Written once a minute.
    this.taskSamples = new SharedRead(
      () => client.listTaskSamples({ since: hourAgo(), limit: 10_000 }),
      clock,
      LATER_MS,
    );
    // A second of work in a large database, spread over thirty statements.
    this.diagnosis = new SharedRead(() => client.diagnose(), clock, LATER_MS);
  }
}

const SOON_MS = 1_900;
const LATER_MS = 15_000;
