import { createRandom, type Random } from "./random.ts";

/** How the server goes down: two ways to stop it, or one of its processes killed, which takes all sessions along. */
export type RestartMode = "fast" | "immediate" | "crash";

/** What happens to the connections of one worker, which lead through a proxy. */
export type LinkEffect = "cut" | "delay" | "blackhole" | "loseQuery" | "loseAnswer";

/** Something bad, and when it begins, in milliseconds after the start. `place` is one of the workers by its number. */
export type Fault = { readonly atMs: number } & (
  | { readonly kind: "kill"; readonly place: number }
  | { readonly kind: "shutdown"; readonly place: number }
  | { readonly kind: "freeze"; readonly place: number; readonly forMs: number }
  | { readonly kind: "killProducer"; readonly place: number }
  | { readonly kind: "restart"; readonly mode: RestartMode; readonly downMs: number }
  /** One of the sessions that there are then, by its share of the list. */
  | { readonly kind: "terminate"; readonly share: number }
  | { readonly kind: "link"; readonly place: number; readonly effect: LinkEffect; readonly forMs: number }
  /** The server's side of all connections of these ends, and theirs hears nothing of it. */
  | { readonly kind: "halfOpen"; readonly places: readonly number[] }
  /** The way of all linked workers is away for so long. */
  | { readonly kind: "proxyRestart"; readonly downMs: number }
  | { readonly kind: "pin"; readonly forMs: number }
  | { readonly kind: "sweep" }
);

export type FaultKind = Fault["kind"];

/** How many faults of each kind. */
export type FaultCounts = Readonly<Record<FaultKind, number>>;

/** What a plan is made for. */
export interface PlanShape {
  readonly durationMs: number;
  readonly workers: number;
  /** The workers whose connections lead through a proxy. */
  readonly linked: readonly number[];
  readonly producers: number;
  readonly faults: FaultCounts;
}

/** Nothing happens before the workers have something to lose. */
const QUIET_START_MS = 2_000;

/** After a restart the server is left alone for so long, or nothing else would ever be seen. */
const BETWEEN_RESTARTS_MS = 4_000;

/** These need a proxy. */
const LINKED: ReadonlySet<FaultKind> = new Set(["link", "halfOpen", "proxyRestart"]);

const EFFECTS: readonly LinkEffect[] = ["cut", "loseAnswer", "delay", "loseQuery", "blackhole"];
const MODES: readonly RestartMode[] = ["fast", "immediate", "crash"];

/** All faults of a run in the order of their times: the same for the same seed and shape. */
export function createPlan(seed: number, shape: PlanShape): Fault[] {
  const random = createRandom(seed);
  const faults = (Object.keys(shape.faults) as FaultKind[]).flatMap((kind) => {
    const count = LINKED.has(kind) && shape.linked.length === 0 ? 0 : shape.faults[kind];
    return Array.from({ length: count }, (_, index) => createFault(kind, { index, count, random, shape }));
  });
  return faults.toSorted((a, b) => a.atMs - b.atMs);
}

interface Draw {
  /** The how manieth of its kind. */
  readonly index: number;
  readonly count: number;
  readonly random: Random;
  readonly shape: PlanShape;
}

function createFault(kind: FaultKind, { index, count, random, shape }: Draw): Fault {
  const atMs = random.integer(QUIET_START_MS, Math.max(QUIET_START_MS, shape.durationMs));
  const place = random.integer(0, shape.workers - 1);
  switch (kind) {
    case "kill":
    case "shutdown":
      return { kind, atMs, place };
    case "freeze":
      return { kind, atMs, place, forMs: random.integer(3_000, 8_000) };
    case "killProducer":
      return { kind, atMs, place: random.integer(0, shape.producers - 1) };
    case "restart":
      return {
        kind,
        atMs: restartAt(index, count, { random, shape }),
        mode: turn(MODES, index),
        downMs: random.integer(0, 1_500),
      };
    case "terminate":
      return { kind, atMs, share: random.next() };
    case "link":
      return {
        kind,
        atMs,
        place: random.pick(shape.linked),
        effect: turn(EFFECTS, index),
        forMs: random.integer(500, 6_000),
      };
    case "halfOpen":
      return { kind, atMs, places: someOf(shape.linked, random) };
    case "proxyRestart":
      return { kind, atMs: restartAt(index, count, { random, shape }), downMs: random.integer(1_000, 3_000) };
    case "pin":
      return { kind, atMs, forMs: random.integer(2_000, 10_000) };
    case "sweep":
      return { kind, atMs };
    default:
      return kind satisfies never;
  }
}

/** Restarts take turns: each has its part of the time, less the rest that follows it. */
function restartAt(index: number, count: number, { random, shape }: Pick<Draw, "random" | "shape">): number {
  const part = Math.max(0, shape.durationMs - QUIET_START_MS) / count;
  return Math.round(QUIET_START_MS + index * part + random.next() * Math.max(0, part - BETWEEN_RESTARTS_MS));
}

/** At least one of them. */
function someOf(places: readonly number[], random: Random): number[] {
  const one = random.pick(places);
  return places.filter((place) => random.next() < 0.5 || place === one);
}

/** A short run must see every one of a few sorts. */
function turn<T>(sorts: readonly T[], index: number): T {
  return sorts[index % sorts.length] as T;
}
