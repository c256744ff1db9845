import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/runtime/clock.ts";
import type { UntimedLine } from "./ledger.ts";

/** A place at which one process works at a time; when it has ended, another takes over. */
export interface Place {
  /** For file names: `worker-3`. */
  readonly name: string;
  /** What runs there: one of the suite's own programs, or another one. */
  readonly script: "worker" | "producer" | URL;
  /** What the next process is given, beside the path of its ledger; `undefined` when nothing is left to do. */
  nextOptions(): Promise<object | undefined>;
}

/** The processes of a run. */
export interface Crew {
  /** Begins to fill all places, and fills them again whenever a process has ended. */
  start(): void;
  /** kill -9. Returns false when there is no process. */
  kill(place: number): boolean;
  /** SIGTERM, unless it was told before. */
  shutDown(place: number): boolean;
  /** SIGSTOP, and SIGCONT after a while, unless it was killed meanwhile. Resolves when it goes on. */
  freeze(place: number, forMs: number): Promise<boolean>;
  /** Resolves when no place has anything left to do. */
  finished(): Promise<void>;
  /** Tells all to end and resolves when they have; those that take too long are killed. Returns how many that were. */
  end(limitMs: number): Promise<number>;
}

interface CrewOptions {
  readonly folder: string;
  readonly places: readonly Place[];
  readonly tell: (line: UntimedLine) => void;
}

interface Member {
  readonly child: ChildProcess;
  readonly ledger: string;
  /** True when it failed, and was not killed. */
  readonly ended: Promise<boolean>;
  frozen: boolean;
  leaving: boolean;
}

/** A process that cannot start, because there is no database, does not try again at once. */
const RESPAWN_MS = 250;

/** So often in a row is no longer the work of faults. */
const MOST_FAILURES = 30;

/** Creates a crew that does not work yet. */
export function createCrew(options: CrewOptions): Crew {
  const { folder, places, tell } = options;
  const members: (Member | undefined)[] = places.map(() => undefined);
  const loops: Promise<void>[] = [];
  const stopping = new AbortController();
  let spawned = 0;

  async function keepFilled(index: number, place: Place): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      const given = await place.nextOptions();
      if (!given) return;
      const member = await spawnMember(place, given);
      members[index] = member;
      failures = (await member.ended) ? failures + 1 : 0;
      members[index] = undefined;
      if (failures >= MOST_FAILURES) throw new Error(`${place.name} fails again and again; see ${member.ledger}`);
      await systemClock.sleep(RESPAWN_MS, stopping.signal);
    }
  }

  async function spawnMember({ name, script }: Place, given: object): Promise<Member> {
    spawned += 1;
    const ledger = `${name}-${spawned}.jsonl`;
    const argument = JSON.stringify({ file: join(folder, ledger), ...given });
    const program = script instanceof URL ? script : new URL(`fixtures/${script}.mjs`, import.meta.url);
    const child = spawn(process.execPath, [fileURLToPath(program), argument], {
      // Its end is the end of the processes that read the pipe: none outlives this process.
      stdio: ["pipe", "ignore", "inherit"],
    });
    child.stdin?.on("error", () => {});
    await once(child, "spawn");
    const ended = once(child, "exit").then(([code, signal]: (number | string | null)[]) => {
      tell({ e: "exit", of: ledger, code: code as number | null, signal: signal as string | null });
      return code !== 0 && signal === null;
    });
    return { child, ledger, ended, frozen: false, leaving: false };
  }

  function kill(place: number): boolean {
    const member = members[place];
    if (!member || !member.child.kill("SIGKILL")) return false;
    tell({ e: "killed", of: member.ledger });
    return true;
  }

  function leave(member: Member): boolean {
    if (member.leaving || member.frozen) return false;
    member.leaving = true;
    return member.child.kill("SIGTERM");
  }

  async function freeze(place: number, forMs: number): Promise<boolean> {
    const member = members[place];
    if (!member || member.frozen || member.leaving) return false;
    member.frozen = true;
    tell({ e: "frozen", of: member.ledger });
    member.child.kill("SIGSTOP");
    await systemClock.sleep(forMs, stopping.signal);
    member.child.kill("SIGCONT");
    tell({ e: "thawed", of: member.ledger });
    member.frozen = false;
    return true;
  }

  async function end(limitMs: number): Promise<number> {
    stopping.abort();
    let killed = 0;
    await Promise.all(
      members.map(async (member, place) => {
        if (!member) return;
        // Frozen processes are woken by the same signal.
        await systemClock.sleep(0);
        leave(member);
        const late = systemClock.setTimer(limitMs, () => {
          killed += 1;
          kill(place);
        });
        await member.ended;
        late.cancel();
      }),
    );
    await Promise.all(loops);
    return killed;
  }

  return {
    start: () => void loops.push(...places.map((place, index) => keepFilled(index, place))),
    kill,
    shutDown(place) {
      const member = members[place];
      return member !== undefined && leave(member);
    },
    freeze,
    async finished() {
      await Promise.all(loops);
    },
    end,
  };
}
