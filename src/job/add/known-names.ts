import type { JobToStore } from "../../postgres/queries/store-jobs.ts";

type Names = Pick<JobToStore, "identifier" | "queueName">;

/** So many names of each kind are remembered; the one remembered longest makes room. */
const MAX_NAMES = 10_000;

/**
 * The tasks and queues of which a job was stored before, so that their rows
 * are most likely there. An add of any other name may have to wait for a
 * transaction that adds the same name and has not ended.
 */
export class KnownNames {
  readonly #identifiers = new Set<string>();
  readonly #queueNames = new Set<string>();

  /** Whether jobs of this task and this queue were stored before. */
  has({ identifier, queueName }: Names): boolean {
    return this.#identifiers.has(identifier) && (queueName === null || this.#queueNames.has(queueName));
  }

  /** A job with these names has been committed. */
  add({ identifier, queueName }: Names): void {
    remember(this.#identifiers, identifier);
    if (queueName !== null) remember(this.#queueNames, queueName);
  }

  /** The rows of these names may be gone. */
  remove({ identifier, queueName }: Names): void {
    this.#identifiers.delete(identifier);
    if (queueName !== null) this.#queueNames.delete(queueName);
  }
}

function remember(names: Set<string>, name: string): void {
  if (names.has(name)) return;
  const [oldest] = names;
  if (names.size >= MAX_NAMES && oldest !== undefined) names.delete(oldest);
  names.add(name);
}
