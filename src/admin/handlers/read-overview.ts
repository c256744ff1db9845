import type { DueGroup, Sample } from "../../client/samples.ts";
import type { OverviewAnswer, SampleView } from "../contract/overview-views.ts";
import type { AdminGround, Handlers } from "../ground.ts";
import { isLimited, maySeeQueue, maySeeTask, type Principal, requireUnlimited } from "../principal.ts";
import { sumOfStats, toStateCountsView } from "../views/count-view.ts";
import { needsOf, sentenceOf, statusOf, toFindingView } from "../views/finding-view.ts";
import { toActivityText } from "../views/activity-view.ts";

/** The routes about the whole. */
export function createOverviewReads(ground: AdminGround): Pick<Handlers, "overview" | "samples" | "doctor"> {
  const { access, client, clock, facts, redaction } = ground;

  return {
    overview: ({ principal }) => readOverview(ground, principal),

    async samples({ query: { since, resolution, limit, top }, principal }) {
      const [samples, entries] = await Promise.all([
        client.listSamples({ since, resolution, limit }),
        isLimited(principal) ? [] : access.listAudit({ limit: 500 }),
      ]);
      const from = samples[0]?.at.getTime() ?? Infinity;
      const markers = entries
        .filter(({ at, action, outcome }) => at.getTime() >= from && outcome === "done" && MARKED.test(action))
        .map((entry) => ({ at: entry.at.toISOString(), kind: entry.action, text: toActivityText(entry) }));
      return {
        asOf: new Date(clock.now()).toISOString(),
        resolution,
        samples: samples.map((sample, index) =>
          toSampleView(sample, samples[index - 1], topOf(sample, principal, top)),
        ),
        markers: markers.reverse(),
      };
    },

    async doctor({ principal }) {
      requireUnlimited(principal, "What the doctor finds");
      const { value, asOf } = await facts.diagnosis.get();
      return {
        asOf: asOf.toISOString(),
        status: value.status,
        results: value.results.map((result) => toFindingView(result, redaction)),
      };
    },
  };
}

async function readOverview(ground: AdminGround, principal: Principal): Promise<OverviewAnswer> {
  const { clock, facts, redaction } = ground;
  const isWhole = !isLimited(principal);
  const [backlog, workers, pauses, samples, taskSamples, diagnosis] = await Promise.all([
    facts.backlog.get(),
    facts.workers.get(),
    facts.pauses.get(),
    facts.samples.get(),
    facts.taskSamples.get(),
    // It takes a second in a large database: what was found before will do, until it is there.
    isWhole ? facts.diagnosis.get(Infinity) : undefined,
  ]);
  const last = samples.value.at(-1);
  const hour = taskSamples.value.filter(({ task }) => maySeeTask(principal, task));
  const needs = needsOf(diagnosis?.value, redaction);
  const { plainMs, queuedMs } = backlog.value.oldestDue;
  const body = {
    counts: isWhole ? toStateCountsView(backlog.value.jobs) : await countsFor(principal, ground),
    oldestDueMs: isWhole && (plainMs ?? queuedMs) !== null ? Math.max(plainMs ?? 0, queuedMs ?? 0) : null,
    workers: slotsOf(workers.value, clock.now()),
  };
  return {
    asOf: backlog.asOf.toISOString(),
    status: statusOf(needs),
    sentence: sentenceOf(needs.length, body),
    needs,
    needsAsOf: diagnosis?.asOf.toISOString() ?? null,
    ...body,
    rates: ratesOf(samples.value[0], last),
    lastHour: {
      completed: hour.reduce((sum, { completed }) => sum + completed, 0),
      attemptsFailed: hour.reduce((sum, { failed }) => sum + failed, 0),
    },
    ...topOf(last, principal, 10),
    pauses: {
      tasks: pauses.value.tasks.filter(({ name }) => maySeeTask(principal, name)).length,
      queues: pauses.value.queues.filter(({ name }) => maySeeQueue(principal, name)).length,
    },
    sampleAt: last?.at.toISOString() ?? null,
  };
}

/** What is marked on a chart. */
const MARKED = /^(?:(?:queues|tasks|schedules)\.(?:pause|resume)|operations\.start|workers\.|queues\.unlock)/;

/** The counts of what someone may see: of their tasks, or else of their queues. */
async function countsFor(principal: Principal, { facts }: AdminGround) {
  if (principal.tasks !== undefined) {
    const { value, asOf } = await facts.backlog.get();
    return sumOfStats(
      value.tasks.filter(({ name }) => maySeeTask(principal, name)),
      asOf,
    );
  }
  const { value, asOf } = await facts.queueCounts.get();
  return sumOfStats(
    value.groups.filter(({ name }) => maySeeQueue(principal, name)),
    asOf,
  );
}

function slotsOf(workers: Awaited<ReturnType<AdminGround["client"]["listActiveWorkers"]>>, nowMs: number) {
  const living = workers.filter(({ isStale, report }) => !isStale && report?.isRetired !== true);
  const since = living.flatMap(({ report }) => (report?.running ?? []).map((job) => job.since.getTime()));
  return {
    count: living.length,
    stale: workers.length - living.length,
    slots: living.reduce((sum, { report }) => sum + (report?.slots ?? 0), 0),
    busy: living.reduce((sum, { report }) => sum + (report?.busy ?? 0), 0),
    longestRunMs: since.length === 0 ? null : Math.max(0, nowMs - Math.min(...since)),
  };
}

/** Rates between two samples; null where there are none, or the statistics of the server were reset. */
function ratesOf(from: Sample | undefined, to: Sample | undefined): OverviewAnswer["rates"] {
  if (!from || !to) return null;
  const overSeconds = (to.at.getTime() - from.at.getTime()) / 1_000;
  const added = to.rowsInserted - from.rowsInserted;
  const deleted = to.rowsDeleted - from.rowsDeleted;
  if (overSeconds <= 0 || added < 0 || deleted < 0) return null;
  return { addedPerSecond: added / overSeconds, finishedPerSecond: deleted / overSeconds, overSeconds };
}

function topOf(sample: Sample | undefined, principal: Principal, limit: number) {
  const shown = (groups: readonly DueGroup[] = []): OverviewAnswer["tasks"] =>
    groups.slice(0, limit).map(({ name, jobCount, oldestMs }) => ({ name, jobCount, oldestMs }));
  return {
    tasks: shown(sample?.tasks.filter(({ name }) => maySeeTask(principal, name))),
    queues: shown(sample?.queues.filter(({ name }) => maySeeQueue(principal, name))),
  };
}

function toSampleView(
  sample: Sample,
  before: Sample | undefined,
  top: Pick<SampleView, "tasks" | "queues">,
): SampleView {
  const rates = ratesOf(before, sample);
  return {
    at: sample.at.toISOString(),
    ready: sample.ready,
    scheduled: sample.scheduled,
    running: sample.running,
    failed: sample.failed,
    workers: sample.workers,
    slots: sample.slots,
    busy: sample.busy,
    deadRows: sample.deadRows,
    oldestDueMs: sample.oldestDueMs,
    oldestSnapshotMs: sample.oldestSnapshotMs,
    addedPerSecond: rates?.addedPerSecond ?? null,
    finishedPerSecond: rates?.finishedPerSecond ?? null,
    ...top,
  };
}
