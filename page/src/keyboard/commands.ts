import type { Command } from "./key-map.ts";

/** What a command does; false when it does not apply just now, so that another may. */
export type Run = () => boolean | void;

/** Which commands the views in sight follow. The newest that applies counts. */
export class Commands {
  readonly #runs = new Map<Command, Run[]>();

  /** Follows a command until what it returns is called. */
  follow(command: Command, run: Run): () => void {
    const runs = this.#runs.get(command) ?? [];
    this.#runs.set(command, runs);
    runs.unshift(run);
    return () => void runs.splice(runs.indexOf(run), 1);
  }

  /** Runs it; false when it does not apply anywhere. */
  run(command: Command): boolean {
    return (this.#runs.get(command) ?? []).some((run) => run() !== false);
  }
}
