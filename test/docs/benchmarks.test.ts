import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { ROOT } from "./project-tree.ts";

interface Target {
  readonly of: string;
  readonly against?: string | readonly string[];
  readonly least?: number;
  readonly most?: number;
}

interface Judged {
  readonly against?: string;
  readonly among?: number;
  readonly measured: number;
  readonly isReached: boolean;
}

interface Cell {
  readonly label: string;
  readonly peer: string;
  readonly runs: readonly object[];
}

interface Job {
  readonly payload: { readonly n: number; readonly ms?: number; readonly fails?: boolean };
  readonly queue?: string;
  readonly priority?: number;
  readonly runAt?: string;
}

/** What modules of the benchmark export. They are no TypeScript. */
interface Modules {
  resultOf(scenario: object, cells: readonly Cell[]): { readonly targets: readonly Judged[] };
  jobAt(n: number, load: { readonly payloadBytes?: number; readonly isMixed?: boolean }): Job;
  failingJobs(total: number): number;
  readonly LANGUAGE_NAMES: readonly string[];
  programVersion(language: string): string;
}

async function load(path: string): Promise<Modules> {
  return (await import(pathToFileURL(`${ROOT}/${path}`).href)) as Modules;
}

it("the report of the benchmark, its charts and the page about it say what the stored results say", () => {
  const { stderr, status } = spawnSync(process.execPath, ["bench/report.mjs", "--check"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
});

describe("a target of the benchmark", () => {
  const cells = [
    { label: "ours", peer: "howdah", runs: [{ repeat: 0, value: 100 }] },
    { label: "slow", peer: "slow", runs: [{ repeat: 0, value: 10 }] },
    { label: "fast", peer: "fast", runs: [{ repeat: 0, value: 50 }] },
    { label: "failed", peer: "failed", runs: [{ repeat: 0, error: "It failed." }] },
  ];

  async function judge(target: Target): Promise<Judged | undefined> {
    const { resultOf } = await load("bench/report/result.mjs");
    return resultOf({ name: "one", title: "One", unit: "jobs/s", targets: [target] }, cells).targets[0];
  }

  it("against several sides counts against the best of those that were measured", async () => {
    const against = ["slow", "fast", "failed", "not measured"];
    expect(await judge({ of: "ours", against, least: 3 })).toMatchObject({
      against: "fast",
      among: 2,
      measured: 2,
      isReached: false,
    });
  });

  it("takes the lowest for the best where less is better", async () => {
    const against = ["slow", "fast"];
    expect(await judge({ of: "ours", against, most: 11 })).toMatchObject({ against: "slow", isReached: true });
  });

  it("is left out when none of the others was measured", async () => {
    expect(await judge({ of: "ours", against: ["failed", "not measured"], least: 1 })).toBeUndefined();
    expect(await judge({ of: "ours", against: "failed", least: 1 })).toBeUndefined();
  });
});

describe("a load of the benchmark", () => {
  it("has payloads of exactly the size that was asked for", async () => {
    const { jobAt } = await load("bench/measure/jobs.mjs");
    const sizes = [0, 7, 49_999].flatMap((n) =>
      [100, 2_048].map((payloadBytes) => JSON.stringify(jobAt(n, { payloadBytes }).payload).length),
    );
    expect(sizes).toEqual([100, 2_048, 100, 2_048, 100, 2_048]);
  });

  it("that is mixed is what its scenario says", async () => {
    const { jobAt, failingJobs } = await load("bench/measure/jobs.mjs");
    const jobs = Array.from({ length: 60_000 }, (_, n) => jobAt(n, { isMixed: true }));
    const failing = jobs.filter(({ payload }) => payload.fails);
    const handlers = jobs.map(({ payload }) => payload.ms ?? 0);
    expect(jobs.filter(({ queue }) => queue !== undefined)).toHaveLength(18_000);
    expect(new Set(jobs.map(({ queue }) => queue).filter(Boolean)).size).toBe(500);
    expect(jobs.filter(({ runAt }) => runAt !== undefined)).toHaveLength(6_000);
    expect(failing).toHaveLength(failingJobs(60_000));
    expect(failing).toHaveLength(1_200);
    expect(failing.every(({ priority, queue, runAt }) => priority === 0 && !queue && !runAt)).toBe(true);
    expect(new Set(jobs.map(({ priority }) => priority))).toEqual(new Set([0, 1, 2, 3, 4]));
    expect([Math.min(...handlers), Math.max(...handlers)]).toEqual([2, 10]);
  });
});

describe("the sides in other languages", () => {
  it("have the versions that their manifests ask for", async () => {
    const { LANGUAGE_NAMES, programVersion } = await load("bench/peers/programs.mjs");
    expect(LANGUAGE_NAMES).toEqual(["rust", "go"]);
    for (const language of LANGUAGE_NAMES) expect(programVersion(language)).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
