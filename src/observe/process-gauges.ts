import type { Hooks } from "../hooks/hooks.ts";
import type { WorkerMetrics } from "../job/worker-metrics.ts";
import type { BacklogReader } from "./backlog-reader.ts";
import type { GaugeValue } from "./gauge-values.ts";

/** The gauges of a process: what its workers say of themselves, and what is in the table. */
export class ProcessGauges {
  readonly #backlog: BacklogReader | undefined;
  readonly #workers = new Set<Hooks>();

  constructor(backlog: BacklogReader | undefined) {
    this.#backlog = backlog;
  }

  /** Follows a worker while it runs; it and clients are asked for what is in the table. */
  follow(hooks: Hooks): void {
    hooks.on("workerStart", () => void this.#workers.add(hooks));
    hooks.on("workerShutdown", () => void this.#workers.delete(hooks));
    this.#backlog?.follow(hooks);
  }

  /** The present values. What is not known has none. Waits for the table, for a second at most. */
  async read(): Promise<readonly GaugeValue[]> {
    await this.#backlog?.refresh();
    return [...this.#ofWorkers(), ...(this.#backlog?.values() ?? [])];
  }

  *#ofWorkers(): Iterable<GaugeValue> {
    const all = [...this.#workers].map((hooks) => hooks.metrics());
    if (all.length === 0) return;
    for (const [name, combine, read] of WORKER_GAUGES) {
      const values = all.map(read).filter((value) => value !== null);
      if (values.length > 0) yield { name, value: combine(values), labels: [] };
    }
  }
}

type Combine = (values: readonly number[]) => number;

const sum: Combine = (values) => values.reduce((total, value) => total + value, 0);
const worst: Combine = (values) => Math.max(...values);
const every: Combine = (values) => Math.min(...values);

/** What each gauge is of several workers, and of one; null for none. */
const WORKER_GAUGES: readonly (readonly [GaugeValue["name"], Combine, (metrics: WorkerMetrics) => number | null])[] = [
  ["howdah_slots", sum, ({ slots }) => slots],
  ["howdah_slots_busy", sum, ({ running }) => running],
  ["howdah_local_queue_jobs", sum, ({ cached }) => cached],
  ["howdah_detached_handlers", sum, ({ leftBehind }) => leftBehind],
  ["howdah_unwritten_outcomes", sum, ({ unwritten }) => unwritten],
  ["howdah_stuck_outcomes", sum, ({ stuck }) => stuck],
  ["howdah_full_scan_age_seconds", worst, ({ headScanAgeMs }) => seconds(headScanAgeMs)],
  ["howdah_heartbeat_age_seconds", worst, ({ heartbeatAgeMs }) => seconds(heartbeatAgeMs)],
  ["howdah_listener_up", every, ({ isListening }) => (isListening === null ? null : Number(isListening))],
];

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1_000;
}
