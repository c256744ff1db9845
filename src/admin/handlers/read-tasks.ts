import type { JobGroup } from "../../client/read-group-stats.ts";
import type { TaskCountsAt } from "../../client/operator-access.ts";
import type { WorkerInfo } from "../../client/workers.ts";
import { suggestName } from "../../runtime/suggestion.ts";
import type { CountView } from "../contract/component.ts";
import type { TaskView } from "../contract/group-views.ts";
import type { AdminGround, Handlers } from "../ground.ts";
import { forbidden, maySeeTask, type Principal, scopeOf } from "../principal.ts";
import { notFound } from "../problem.ts";
import { toStateCountsView } from "../views/count-view.ts";
import { toJobRow, toTime } from "../views/job-view.ts";
import { toTimesView } from "../views/times-view.ts";

/** The routes that read tasks. */
export function createTaskReads(ground: AdminGround): Pick<Handlers, "listTasks" | "getTask" | "getTaskSchema"> {
  const { access, clock, facts, schemas } = ground;

  return {
    async listTasks({ principal }) {
      if (principal.tasks === undefined && principal.queues !== undefined)
        throw forbidden("You may see the jobs of some queues, and no tasks.");
      const tasks = (await readTasks(ground)).filter(({ name }) => maySeeTask(principal, name));
      return { asOf: new Date(clock.now()).toISOString(), tasks };
    },

    async getTask({ params: { name }, principal }) {
      const task = maySeeTask(principal, name)
        ? ((await readTasks(ground)).find((one) => one.name === name) ?? (await rareTask(ground, name)))
        : undefined;
      if (!task)
        throw notFound(`No job and no living worker has the task ${JSON.stringify(name)}, or it is none of yours.`);
      const since = new Date(clock.now() - THREE_HOURS_MS);
      const [samples, workers, pauses, failed] = await Promise.all([
        access.listTaskCounts({ task: name, since, limit: 200 }),
        facts.workers.get(),
        facts.pauses.get(),
        lastFailed(ground, principal, name),
      ]);
      const living = workers.value.filter(({ isStale }) => !isStale);
      return {
        asOf: new Date(clock.now()).toISOString(),
        task,
        samples: samples.map(toTaskSampleView),
        workerIds: living.filter(({ report }) => report?.tasks.includes(name)).map(({ id }) => id),
        lastFailed: failed ? toJobRow(failed, pauses.value, ground) : null,
        nearest: task.workers > 0 ? null : nearestOf(name, living, principal),
      };
    },

    async getTaskSchema({ params: { name }, principal: { tasks } }) {
      // Those who may add jobs of a queue may add them of any task.
      const isOwn = tasks === undefined || tasks.includes(name);
      const task = isOwn ? schemas.find(name) : undefined;
      const schema = task && schemas.jsonSchemaOf(name);
      return {
        task: name,
        isKnown: task !== undefined,
        isBatch: task?.kind === "batch",
        schema: schema === undefined ? null : JSON.stringify(schema),
      };
    },
  };
}

/** The hundred with the most jobs, and those that living workers know. */
async function readTasks({ facts }: AdminGround): Promise<readonly TaskView[]> {
  const [backlog, workers, pauses, samples, taskCounts] = await Promise.all([
    facts.backlog.get(),
    facts.workers.get(),
    facts.pauses.get(),
    facts.samples.get(),
    facts.taskCounts.get(),
  ]);
  const known = new Map<string, number>();
  for (const { report, isStale } of workers.value) {
    if (!isStale) for (const task of report?.tasks ?? []) known.set(task, (known.get(task) ?? 0) + 1);
  }
  const groups = new Map(backlog.value.tasks.map((group) => [group.name, group]));
  const due = new Map((samples.value.at(-1)?.tasks ?? []).map(({ name, oldestMs }) => [name, oldestMs]));
  const names = new Set([...groups.keys(), ...known.keys(), ...pauses.value.tasks.map(({ name }) => name)]);
  const views = [...names].map((name): TaskView => {
    const pause = pauses.value.tasks.find((one) => one.name === name);
    return {
      name,
      ...countsOf(groups.get(name), backlog.asOf),
      oldestDueMs: roundedOrNull(due.get(name)),
      workers: known.get(name) ?? 0,
      isPaused: pause !== undefined,
      pausedUntil: toTime(pause?.until ?? null),
      ...hourOf(taskCounts.value.filter(({ task }) => task === name)),
    };
  });
  return views.sort(byNeed);
}

const THREE_HOURS_MS = 3 * 3_600_000;

/** A task that is not among the hundred: one that still has a job. */
async function rareTask({ access, clock }: AdminGround, name: string): Promise<TaskView | undefined> {
  const { jobs } = await access.listJobs({ task: name }, {}, { isBackward: true, after: undefined, limit: 1 });
  if (jobs.length === 0) return undefined;
  const counts = countsOf(undefined, new Date(clock.now()), false);
  return { name, ...counts, oldestDueMs: null, workers: 0, isPaused: false, pausedUntil: null, ...hourOf([]) };
}

async function lastFailed({ access }: AdminGround, principal: Principal, task: string) {
  const page = { isBackward: true, after: undefined, limit: 1 };
  const { jobs } = await access.listJobs({ task, state: "failed" }, scopeOf(principal), page);
  return jobs[0];
}

function nearestOf(name: string, living: readonly WorkerInfo[], principal: Principal): string | null {
  const tasks = living.flatMap(({ report }) => report?.tasks ?? []);
  return (
    suggestName(
      name,
      tasks.filter((task) => maySeeTask(principal, task)),
    ) ?? null
  );
}

function countsOf(group: JobGroup | undefined, asOf: Date, exact = true) {
  if (group) return toStateCountsView(group);
  const none: CountView = { value: 0, exact, asOf: asOf.toISOString() };
  return { ready: none, scheduled: none, running: none, failed: none };
}

function hourOf(counts: readonly TaskCountsAt[]) {
  const completed = counts.reduce((sum, one) => sum + one.completed, 0);
  const attemptsFailed = counts.reduce((sum, one) => sum + one.failed, 0);
  return { completed, attemptsFailed, ...toTimesView(counts) };
}

function toTaskSampleView(counts: TaskCountsAt) {
  const { at, task, completed, failed, runMs } = counts;
  return { at: at.toISOString(), task, completed, failed, runMs, ...toTimesView([counts]) };
}

function roundedOrNull(value: number | undefined): number | null {
  return value === undefined ? null : Math.max(0, Math.round(value));
}

/** Those with due jobs that no worker runs first, then the oldest, then the largest. */
function byNeed(a: TaskView, b: TaskView): number {
  const isLost = ({ workers, ready }: TaskView): number => (workers === 0 && ready.value > 0 ? 1 : 0);
  return (
    isLost(b) - isLost(a) ||
    (b.oldestDueMs ?? -1) - (a.oldestDueMs ?? -1) ||
    b.ready.value - a.ready.value ||
    (a.name < b.name ? -1 : 1)
  );
}
