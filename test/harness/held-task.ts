import { defineTask } from "../../src/job/task.ts";
import type { JobContext } from "../../src/job/execute/context.ts";
import { createGate, type Gate } from "./worker.ts";

/** What a handler does after its gate has been opened. */
export type AfterGate = (name: string, context: JobContext) => unknown;

/** Creates a task whose jobs run until their gates are opened; the payload of each is its name. */
export function createHeldTask(identifier: string, afterwards: AfterGate = () => undefined) {
  const gates = new Map<string, Gate>();
  const started: string[] = [];
  const running = new Set<string>();
  let isOpen = false;
  const gateOf = (name: string): Gate => {
    const gate = gates.get(name) ?? createGate();
    gates.set(name, gate);
    if (isOpen) gate.open();
    return gate;
  };
  const task = defineTask({
    identifier,
    async run(name: string, context) {
      started.push(name);
      running.add(name);
      await gateOf(name).opened;
      running.delete(name);
      return afterwards(name, context) as undefined;
    },
  });
  return {
    task,
    /** The names of the jobs that were started, in order. */
    started: started as readonly string[],
    /** The names of those that have not ended. */
    running: running as ReadonlySet<string>,
    /** Lets one job end. */
    open: (name: string): void => gateOf(name).open(),
    /** Lets all jobs end, also those to come. */
    openAll(): void {
      isOpen = true;
      for (const gate of gates.values()) gate.open();
    },
  };
}
