import type { Driver } from "../postgres/driver.ts";
import { listForeignTasks } from "../postgres/queries/list-foreign-tasks.ts";
import { registerTasks, type StoredTaskSettings } from "../postgres/queries/register-tasks.ts";
import type { Schema } from "../postgres/schema.ts";
import type { Clock } from "../runtime/clock.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { Logger } from "../runtime/logger.ts";
import { startLoop, type Loop } from "../runtime/loop.ts";

/**
 * The tasks of a worker as the database knows them: their ids, which a clean-up
 * may have removed and made anew. While it is started it warns of due jobs
 * whose tasks this worker does not know.
 */
export class StoredTasks {
  readonly #options: StoredTasksOptions;
  #identifiersById: ReadonlyMap<number, string> = new Map();
  #refreshing = false;
  #watcher: StoredTasksWatcher | undefined;
  #loop: Loop | undefined;

  constructor(options: StoredTasksOptions) {
    this.#options = options;
  }

  /** The identifiers by their id. Replaced, never changed. */
  get identifiersById(): ReadonlyMap<number, string> {
    return this.#identifiersById;
  }

  /** Stores what is missing and reads all ids. */
  async register(): Promise<void> {
    const { driver, schema, tasks } = this.#options;
    this.#identifiersById = await registerTasks(driver, schema, tasks);
    this.#watcher?.taskIdsChanged();
  }

  /** From now on `watcher`, and no other, is notified when the ids may have changed. */
  watch(watcher: StoredTasksWatcher): void {
    this.#watcher = watcher;
  }

  /** Registers in the background. When that fails, the next claim that misses an id asks again. */
  refresh(): void {
    if (this.#refreshing) return;
    this.#refreshing = true;
    this.register()
      .catch((error: unknown) => {
        this.#options.logger.warn("Registering the tasks again failed", { error: errorMessage(error) });
      })
      .finally(() => {
        this.#refreshing = false;
      });
  }

  /** Warns at once and then once a minute. */
  start(): void {
    const { clock, logger } = this.#options;
    this.#loop = startLoop({
      name: "unknown tasks",
      clock,
      round: async () => {
        await this.#warn();
        return WARNING_INTERVAL_MS;
      },
      onError: (error) => logger.debug("Looking for jobs of unknown tasks failed", { error: errorMessage(error) }),
    });
  }

  /** Ends the warnings. */
  async stop(): Promise<void> {
    await this.#loop?.stop();
  }

  async #warn(): Promise<void> {
    const { driver, schema, logger } = this.#options;
    const foreign = await listForeignTasks(driver, schema, [...this.#identifiersById.keys()]);
    if (foreign.length === 0) return;
    logger.warn("Jobs are due whose tasks this worker does not know", {
      tasks: foreign.slice(0, 10).join(", "),
      count: foreign.length,
    });
  }
}

/** What stored tasks need. */
export interface StoredTasksOptions {
  readonly driver: Driver;
  readonly schema: Schema;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The tasks that this worker runs, by their identifiers, and what is stored of each. */
  readonly tasks: ReadonlyMap<string, StoredTaskSettings>;
}

/** Keeps something that depends on the ids of tasks. */
export interface StoredTasksWatcher {
  /** The ids may be others than before. */
  taskIdsChanged(): void;
}

/** How often to look for jobs of tasks that this worker does not know. */
const WARNING_INTERVAL_MS = 60_000;
