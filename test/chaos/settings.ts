import { parseArgs } from "node:util";
import { parseDuration } from "../../src/runtime/duration.ts";
import type { FaultCounts, FaultKind } from "./plan.ts";

/** What a run is made with. */
export interface Settings {
  readonly seed: number;
  /** How long faults are injected, in milliseconds. */
  readonly durationMs: number;
  readonly workers: number;
  readonly producers: number;
  /** How many jobs are added at least. */
  readonly jobs: number;
  /** Whether some handlers fail, or put their job off. */
  readonly failing: boolean;
  readonly faults: FaultCounts;
  /** The folder to write the result into; `undefined` for nowhere. */
  readonly out: string | undefined;
}

type Preset = Omit<Settings, "seed" | "out">;

/** What `npm test` runs. */
const CHECK: Preset = {
  durationMs: 40_000,
  workers: 7,
  producers: 2,
  jobs: 6_000,
  failing: false,
  faults: {
    kill: 14,
    shutdown: 3,
    freeze: 5,
    killProducer: 2,
    restart: 3,
    terminate: 12,
    link: 10,
    halfOpen: 5,
    proxyRestart: 2,
    pin: 2,
    sweep: 3,
  },
};

/** What `docs/guides/promises.md` quotes. */
const LONG: Preset = {
  durationMs: 420_000,
  workers: 7,
  producers: 2,
  jobs: 200_000,
  failing: false,
  faults: {
    kill: 240,
    shutdown: 30,
    freeze: 20,
    killProducer: 20,
    restart: 12,
    terminate: 120,
    link: 80,
    halfOpen: 40,
    proxyRestart: 12,
    pin: 15,
    sweep: 30,
  },
};

/** The option for each number of faults. */
const FAULT_OPTIONS = {
  kills: "kill",
  shutdowns: "shutdown",
  freezes: "freeze",
  "producer-kills": "killProducer",
  restarts: "restart",
  terminations: "terminate",
  links: "link",
  "half-opens": "halfOpen",
  "proxy-restarts": "proxyRestart",
  pins: "pin",
  sweeps: "sweep",
} as const satisfies Readonly<Record<string, FaultKind>>;

/** Explains the command line. */
export const USAGE = `npm run chaos -- [options]

  --seed N            everything random follows from it; printed when not given
  --duration 2m       how long faults are injected
  --jobs N            how many jobs are added
  --workers N         worker processes, of different configurations in turn
  --producers N       processes that add jobs
  --failing           some handlers fail, or put their job off
  ${Object.keys(FAULT_OPTIONS)
    .map((name) => `--${name} N`)
    .join(" ")}
                      how many faults of a kind
  --long              200,000 jobs, at least 200 kill -9; writes its result to test/chaos/results
  --out FOLDER        writes the result there
  --no-faults         none but those that are asked for by number`;

/** Reads a command line. Throws an error that says what is wrong with it. */
export function readSettings(args: readonly string[], randomSeed: number, resultsFolder: string): Settings {
  const numbers = Object.fromEntries(Object.keys(FAULT_OPTIONS).map((name) => [name, { type: "string" as const }]));
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...numbers,
      seed: { type: "string" },
      duration: { type: "string" },
      jobs: { type: "string" },
      workers: { type: "string" },
      producers: { type: "string" },
      out: { type: "string" },
      failing: { type: "boolean", default: false },
      long: { type: "boolean", default: false },
      "no-faults": { type: "boolean", default: false },
    },
  });
  const preset = values.long ? LONG : CHECK;
  const number = (name: string, otherwise: number): number => {
    const given = (values as Readonly<Record<string, unknown>>)[name];
    if (given === undefined) return otherwise;
    if (typeof given === "string" && /^\d+$/.test(given)) return Number(given);
    throw new Error(`--${name} has to be a whole number, found ${JSON.stringify(given)}`);
  };
  const faults = Object.fromEntries(
    Object.entries(FAULT_OPTIONS).map(([name, kind]) => [
      kind,
      number(name, values["no-faults"] ? 0 : preset.faults[kind]),
    ]),
  ) as Record<FaultKind, number>;
  return {
    seed: number("seed", randomSeed) >>> 0,
    durationMs: values.duration === undefined ? preset.durationMs : parseDuration(values.duration, "--duration"),
    workers: number("workers", preset.workers),
    producers: number("producers", preset.producers),
    jobs: number("jobs", preset.jobs),
    failing: values.failing,
    faults,
    out: values.out ?? (values.long ? resultsFolder : undefined),
  };
}
