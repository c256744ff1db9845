import { expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import { workerContext } from "../../test/harness/worker-context.ts";
import type { SlotAtWork } from "../job/execute/slot.ts";
import { readReport } from "../job/worker-report.ts";
import { SelfReport } from "./self-report.ts";

const CLAIMS = { fullScanAgeMs: 1, nextFullScanMs: 2, nextQueueScanMs: 3, failure: null };

function setUp() {
  const context = workerContext();
  const { clock, held, identity } = context;
  const work: SlotAtWork[] = [];
  const slots = {
    atWork: () => work,
    get busy() {
      return work.length;
    },
  };
  const engine = { claimer: { forbiddenFlags: ["gpu"], health: () => CLAIMS }, slots, isStopping: false };
  const report = new SelfReport(context, engine);
  const claim = (id: string, workerId = identity.current) => {
    const job = claimedJob({ id }, { workerId });
    held.claimed([job]);
    return job;
  };
  const start = (id: string) => {
    const job = claim(id);
    held.started(job);
    work.push({ job, startedAt: clock.monotonic() });
    return job;
  };
  const said = (id: string) => readReport(JSON.parse(report.of(id)) as Record<string, unknown>, new Date(10_000));
  return { ...context, claim, start, said };
}

it("says of a job for how long it has run, those that run for the longest time first", async () => {
  const { clock, start, said, identity } = setUp();
  start("7");
  await clock.advance(1_000);
  start("3");
  await clock.advance(500);
  expect(said(identity.current)?.running).toEqual([
    { id: "7", task: "t", queueName: null, since: new Date(8_500) },
    { id: "3", task: "t", queueName: null, since: new Date(9_500) },
  ]);
});

it("counts what it holds, by what has become of it", () => {
  const { claim, start, said, identity, held } = setUp();
  for (const id of ["1", "2", "3"]) claim(id);
  start("4");
  held.ended(start("5"));
  const left = start("6");
  held.detached(left);
  held.released(left);
  expect(said(identity.current)).toMatchObject({ cached: 3, unwritten: 1, leftBehind: 1, locked: 5 });
});

it("tells under which id each job is held, and that an id is used no longer", () => {
  const { start, said, identity } = setUp();
  const old = identity.current;
  start("1");
  identity.distrust(old);
  start("2");
  start("3");
  const ids = (id: string) => said(id)?.running.map((job) => job.id);
  expect([ids(old), ids(identity.current)]).toEqual([["1"], ["2", "3"]]);
  expect(said(old)).toMatchObject({ isRetired: true, slots: 0, busy: 0, locked: 1, tasks: [] });
  expect(said(identity.current)).toMatchObject({ isRetired: false, slots: 4, locked: 2, tasks: ["t"] });
});
