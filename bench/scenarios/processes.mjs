import { fillAndDrain } from "../measure/drain.mjs";

function sidesFor(peer, counts) {
  return counts.map((count) => ({
    peer,
    settings: "tuned",
    variant: count === 1 ? "1 process" : `${count} processes`,
    count,
  }));
}

/** Several worker processes share one backlog. */
export const processes = {
  name: "processes",
  title: "Several worker processes on one backlog",
  unit: "jobs/s",
  what: "The tuned drain of 400,000 jobs with 1, 2 and 4 worker processes at once, from the moment when each of them has run 10,000 jobs until no job is left.",
  fair: "What a process costs to start (to connect, to have its code compiled) is not measured, and for the same reason neither is the first part of the drain, with one process as with four. All processes and PostgreSQL share the machine's cores, so this shows how much workers disturb each other, not how far they scale.",
  sides: [...sidesFor("howdah", [1, 2, 4]), ...sidesFor("graphile-worker-0.17", [1, 4])],
  targets: [{ of: "howdah, 4 processes", against: "howdah, 1 process", least: 0.85 }],
  run(run, side) {
    const total = run.quick ? 2_000 : 400_000;
    return fillAndDrain(run, side, { total, processes: side.count, warmUp: total / 40 });
  },
};
