import type { GatherTask } from "../task.ts";
import type { GatherParts } from "./gather-call.ts";
import { Gathering } from "./gathering.ts";

/** The calls of a worker that wait for more jobs: one for each task that gathers them. */
export class CollectingCalls {
  /** By the identifiers of their tasks. */
  readonly open: ReadonlyMap<string, Gathering>;
  readonly #open = new Map<string, Gathering>();
  readonly #parts: GatherParts;

  constructor(parts: GatherParts) {
    this.#parts = parts;
    this.open = this.#open;
  }

  /** The call that a job without a queue joins: one that has room, or a new one, which waits for so long. */
  find(task: GatherTask, withinMs: number): Gathering {
    const known = this.#open.get(task.identifier);
    if (known?.isOpen === true) return known;
    const gathering = this.alone(task);
    this.#open.set(task.identifier, gathering);
    if (withinMs > 0) gathering.closeAfter(withinMs);
    return gathering;
  }

  /** A call that no other job joins. */
  alone(task: GatherTask): Gathering {
    return new Gathering(task, this.#parts);
  }

  /** No further job joins this call of the task. */
  close(identifier: string, gathering: Gathering): void {
    if (this.#open.get(identifier) === gathering) this.#open.delete(identifier);
    gathering.close();
  }

  /** No further job joins any of the calls. */
  closeAll(): void {
    for (const [identifier, gathering] of this.#open) this.close(identifier, gathering);
  }
}
