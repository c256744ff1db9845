import { startNode, type TestProcess } from "../harness/process.ts";
import { until } from "../harness/until.ts";
import type { Release } from "./releases.ts";

/** What a handler did, with times in microseconds that are comparable between processes. */
export interface Run {
  readonly name: string;
  readonly queue: string | null;
  readonly failed: boolean;
  readonly start: number;
  readonly end: number;
}

/** An error, as a process was given it. */
export interface Fault {
  readonly code?: string;
  readonly message: string;
}

/** What one process said about one thing. */
type Event =
  | { readonly kind: "ready" }
  | { readonly kind: "stopped" }
  | { readonly kind: "completed"; readonly name: string }
  | ({ readonly kind: "run" } & Run)
  | ({ readonly kind: "error" } & Fault)
  | ({ readonly kind: "refused" } & Fault)
  | { readonly kind: "added"; readonly added: readonly string[]; readonly errors: readonly Fault[] };

/** Starts a worker of a release; resolves when it runs or was refused. */
export function startWorker(release: Release, options: object): Promise<TestProcess> {
  return start("fixtures/worker.mjs", release, options);
}

/** Starts a process that adds jobs with the client of a release; resolves when it does or was refused. */
export function startProducer(release: Release, options: object): Promise<TestProcess> {
  return start("fixtures/producer.mjs", release, options);
}

async function start(script: string, release: Release, options: object): Promise<TestProcess> {
  const args = [JSON.stringify({ howdah: release.main, ...options })];
  const started = await startNode(new URL(script, import.meta.url), { args });
  await started.line(/"kind":"(ready|refused)"/, 30_000);
  return started;
}

/** How one command of the command line ended. */
export interface Command {
  readonly command: string;
  readonly code: number | null;
  readonly error: string;
}

/** Runs one command of a release's command line to its end. */
export async function runCommand(release: Release, command: string, connectionString: string): Promise<Command> {
  const started = await startNode(release.cli, { args: command.split(" "), env: { DATABASE_URL: connectionString } });
  const { code } = await started.ended;
  return { command, code, error: started.errorLines.join("\n") };
}

const COMMANDS = ["stats", "list", "queues", "workers", "schedules list", "tasks pause other", "tasks resume other"];

/** Runs commands of a release one after another until they are to stop; resolves to how each ended. */
export function keepRunningCommands(release: Release, connectionString: string): { stop(): Promise<Command[]> } {
  let stopping = false;
  const commands: Command[] = [];
  const running = (async () => {
    for (let n = 0; !stopping; n += 1) {
      commands.push(await runCommand(release, COMMANDS[n % COMMANDS.length] ?? "", connectionString));
    }
  })();
  return {
    async stop() {
      stopping = true;
      await running;
      return commands;
    },
  };
}

/** What a process has said so far, of one kind. */
export function eventsOf<K extends Event["kind"]>(process: TestProcess, kind: K): Extract<Event, { kind: K }>[] {
  const events = process.lines.map((line) => JSON.parse(line) as Event);
  return events.filter((event): event is Extract<Event, { kind: K }> => event.kind === kind);
}

/** Tells a producer to stop, and returns what it has added. */
export async function stopProducer(producer: TestProcess): Promise<Extract<Event, { kind: "added" }>> {
  producer.say("stop");
  await producer.ended;
  const [event] = eventsOf(producer, "added");
  if (!event) throw new Error(`A producer failed:\n${producer.errorLines.join("\n")}`);
  return event;
}

/** Resolves when each of these workers has run jobs that began later than now. */
export async function runOn(workers: readonly TestProcess[]): Promise<void> {
  const before = workers.map((worker) => eventsOf(worker, "completed").length);
  await until(
    () => workers.every((worker, index) => eventsOf(worker, "completed").length > (before[index] ?? 0) + 20),
    { message: "each worker to go on", deadlineMs: 30_000 },
  );
}
