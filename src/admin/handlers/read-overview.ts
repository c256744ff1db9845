import type { AuditEntry } from "../../client/operator-access.ts";
import type { DueGroup, Sample } from "../../client/samples.ts";
import { isHowdahError } from "../../errors.ts";
import type { OverviewAnswer, SampleView } from "../contract/overview-views.ts";
import type { AdminGround, Handlers } from "../ground.ts";
import { isLimited, maySeeQueue, maySeeTask, type Principal, requireUnlimited } from "../principal.ts";
import { sumOfStats, toStateCountsView } from "../views/count-view.ts";
import { needsOf, sentenceOf, statusOf, toFindingView } from "../views/finding-view.ts";
import { markersOf } from "../views/markers.ts";
import { toTimesView } from "../views/times-view.ts";

/** The routes about the whole. */
export function createOverviewReads(ground: AdminGround): Pick<Handlers, "overview" | "samples" | "doctor"> {
  const { access, client, clock, facts, redaction } = ground;

  return {
    overview: ({ principal }) => readOverview(ground, principal),

    async samples({ query: { since, resolution, limit, top }, principal }) {
      requireUnlimited(principal, "What workers counted");
      const [samples, entries, workers] = await Promise.all([
        client.listSamples({ since, resolution, limit }),
        readRecord(access),
        facts.workers.get(),
      ]);
      return {
        asOf: new Date(clock.now()).toISOString(),
        resolution,
        samples: samples.map((sample, index) =>
          toSampleView(sample, samples[index - 1], topOf(sample, principal, top)),
        ),
        markers: markersOf({ samples, entries, workers: workers.value }),
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
  const [backlog, workers, pauses, samples, taskCounts, diagnosis] = await Promise.all([
    facts.backlog.get(),
    facts.workers.get(),
    facts.pauses.get(),
    facts.samples.get(),
    facts.taskCounts.get(),
    // It takes a second in a large database: what was found before will do, until it is there.
    isWhole ? facts.diagnosis.get(Infinity) : undefined,
  ]);
  const last = samples.value.at(-1);
  const hour = taskCounts.value.filter(({ task }) => maySeeTask(principal, task));
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
    rates: isWhole ? ratesOf(samples.value[0], last) : null,
    lastHour: {
      completed: hour.reduce((sum, { completed }) => sum + completed, 0),
      attemptsFailed: hour.reduce((sum, { failed }) => sum + failed, 0),
    },
    times: toTimesView(hour.filter(({ at }) => at.getTime() >= clock.now() - TEN_MINUTES_MS)),
    ...topOf(last, principal, 10),
    pauses: {
      tasks: pauses.value.tasks.filter(({ name }) => maySeeTask(principal, name)).length,
      queues: pauses.value.queues.filter(({ name }) => maySeeQueue(principal, name)).length,
    },
    sampleAt: last?.at.toISOString() ?? null,
  };
}

const TEN_MINUTES_MS = 600_000;

/** The newest entries of the record; none where the database role may not see it. */
async function readRecord(access: AdminGround["access"]): Promise<readonly AuditEntry[]> {
  try {
    return (await access.listAudit({ limit: 500 })).entries;
  } catch (error) {
    if (isHowdahError(error, "HOWDAH_DATABASE_FORBIDDEN")) return [];
    throw error;
  }
}

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
