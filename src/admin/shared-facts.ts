import type { Client } from "../client/client.ts";
import type { OperatorAccess } from "../client/operator-access.ts";
import type { Clock } from "../runtime/clock.ts";
import { SharedRead } from "./shared-read.ts";

/** What several answers are made of, read once for all who ask. */
export class SharedFacts {
  readonly backlog: SharedRead<Awaited<ReturnType<Client["backlog"]>>>;
  readonly queueCounts: SharedRead<Awaited<ReturnType<Client["stats"]>>>;
  readonly workers: SharedRead<Awaited<ReturnType<Client["listActiveWorkers"]>>>;
  readonly pauses: SharedRead<Awaited<ReturnType<Client["listPauses"]>>>;
  readonly samples: SharedRead<Awaited<ReturnType<Client["listSamples"]>>>;
  readonly taskCounts: SharedRead<Awaited<ReturnType<OperatorAccess["listTaskCounts"]>>>;
  readonly diagnosis: SharedRead<Awaited<ReturnType<Client["diagnose"]>>>;

  constructor({ client, access }: FactSources, clock: Clock) {
    const hourAgo = (): Date => new Date(clock.now() - 3_600_000);
    this.backlog = new SharedRead(() => client.backlog(), clock, SOON_MS);
    this.queueCounts = new SharedRead(() => client.stats({ by: "queue" }), clock, SOON_MS);
    this.workers = new SharedRead(() => client.listActiveWorkers(), clock, SOON_MS);
    this.pauses = new SharedRead(() => client.listPauses(), clock, SOON_MS);
    this.samples = new SharedRead(() => client.listSamples({ limit: 7 }), clock, SOON_MS);
    // Written once a minute.
    this.taskCounts = new SharedRead(() => access.listTaskCounts({ since: hourAgo(), limit: 10_000 }), clock, LATER_MS);
    // A second of work in a large database, spread over thirty statements.
    this.diagnosis = new SharedRead(() => client.diagnose(), clock, LATER_MS);
  }
}

/** What facts are read from. */
export interface FactSources {
  readonly client: Client;
  readonly access: Pick<OperatorAccess, "listTaskCounts">;
}

const SOON_MS = 1_900;
const LATER_MS = 15_000;
