import { CHANGED_STATES } from "../../client/bulk.ts";
import type { BoundOrder } from "../../client/operator-access.ts";
import type { Job, JobState } from "../../job/job.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { formatSpan } from "../../client/why/times.ts";
import type { ActionRequest, OperationAnswer, PreviewAnswer, PreviewRequest } from "../contract/bulk-views.ts";
import type { AdminGround, Caller, Handlers } from "../ground.ts";
import { maySee, type Principal, scopeOf } from "../principal.ts";
import { expired, nameOfPreview, type PreviewClaims } from "../preview-tokens.ts";
import { RequestError } from "../problem.ts";
import { isUndoable } from "../undo.ts";
import { toJobRow } from "../views/job-view.ts";
import { REASONS, UNDO, UNDO_HERE, VERBS } from "./action-words.ts";
import { changeOwn } from "./change-jobs.ts";
import { readOperation, visibleOperation } from "./read-changes.ts";
import { toJobFilter } from "./read-jobs.ts";

type Names = "preview" | "startOperation" | "pauseOperation" | "resumeOperation" | "stopOperation";

/** The routes that change many jobs: what would be changed, and the operations that do. */
export function createBulkRoutes(ground: AdminGround): Pick<Handlers, Names> {
  const { access, audit, client, runs, tokens } = ground;

  /** Changes the state of an operation, and records it. */
  async function steer(verb: "pause" | "stop" | "resume", { params, principal, requestId }: OperationCall) {
    const { id, action } = await visibleOperation(ground, principal, params.id);
    const target = { id, action };
    return audit.record({ principal, requestId, action: `operations.${verb}`, target, operationId: id }, async () => {
      if (verb === "resume") {
        // First, so that a pause that comes next is not undone.
        await access.resumeOperation(id);
        await runs.begin(id);
      } else await client.operations[verb](id);
      return { answer: await readOperation(ground, principal, id) };
    });
  }

  return {
    async preview({ body, principal }) {
      if ((body.ids === undefined) === (body.filter === undefined))
        throw new RequestError("A preview takes exactly one of `ids` and `filter`.");
      return body.ids === undefined
        ? previewFilter(ground, principal, body)
        : previewIds(ground, principal, { ...body, ids: body.ids });
    },

    async startOperation({ body: { token, confirm }, principal, requestId }) {
      const claims = tokens.read(token, { who: principal.name, scope: scopeText(principal) });
      if (claims.confirm !== null && confirm !== claims.confirm)
        throw expired(`This changes many jobs: give the number ${claims.confirm} as \`confirm\`.`);
      return begin(ground, { principal, requestId, preview: nameOfPreview(token) }, claims);
    },

    pauseOperation: (call) => steer("pause", call),
    stopOperation: (call) => steer("stop", call),
    resumeOperation: (call) => steer("resume", call),
  };
}

interface OperationCall extends Caller {
  readonly params: { readonly id: string };
}

interface BeginCall extends Caller {
  readonly preview: string;
}

async function begin(ground: AdminGround, caller: BeginCall, claims: PreviewClaims): Promise<OperationAnswer> {
  const { access, audit, runs } = ground;
  const { order, byId, expected } = claims;
  const { payload, ...filter } = order.filter;
  const about = byId
    ? { ids: byId.ids }
    : { filter: { ...filter, ...(payload === undefined ? {} : { payload: true }) } };
  const target = { action: order.action, ...about, ...order.change.retry, expected };
  return audit.record({ ...caller, action: "operations.start", target }, async () => {
    if (byId) return changeByIds(ground, caller, { expected, byId });
    const { id } = await access.startOperation(order);
    await runs.begin(id);
    const { asOf, operation } = await readOperation(ground, caller.principal, id);
    // Its author is recorded with its outcome, a moment later.
    const answer = { asOf, operation: { ...operation, who: caller.principal.name, expected } };
    return { answer, operationId: id };
  });
}

/** What was named one by one is done at once, and is no operation that goes on. */
async function changeByIds(
  ground: AdminGround,
  { principal }: Caller,
  { expected, byId }: Pick<PreviewClaims, "expected"> & { readonly byId: ActionRequest },
) {
  const { changed, signalled, undo } = await changeOwn(ground, principal, byId);
  const now = new Date(ground.clock.now()).toISOString();
  const operation = {
    id: null,
    action: byId.action,
    state: "done" as const,
    isStalled: false,
    filter: null,
    expected,
    matched: byId.ids.length,
    changed: changed.length,
    signalled: signalled.length,
    undo,
    who: principal.name,
    createdAt: now,
    updatedAt: now,
  };
  return { answer: { asOf: now, operation }, count: changed.length + signalled.length };
}

async function previewFilter(ground: AdminGround, principal: Principal, body: PreviewRequest): Promise<PreviewAnswer> {
  const { access, clock, facts } = ground;
  const { action, reason, to, again } = body;
  const filter = toJobFilter(body.filter ?? {}, ground);
  const order = await access.toOrder({ action, filter, reason, to, again }, scopeOf(principal));
  const sampled = { ...filter, state: filter.state ?? (action === "retry" ? ("failed" as const) : undefined) };
  const [preview, untouched, sample, pauses] = await Promise.all([
    access.preview(order),
    untouchedOf(ground, order),
    access.listJobs(sampled, scopeOf(principal), { isBackward: false, after: undefined, limit: 50 }),
    facts.pauses.get(),
  ]);
  const first = sample.jobs.filter(({ state }) => CHANGED_STATES[action].includes(state)).slice(0, 5);
  const asOf = new Date(clock.now()).toISOString();
  return signed(ground, principal, {
    order,
    asOf,
    matched: { value: preview.matched, exact: preview.exact, asOf },
    byState: preview.byState,
    byTask: preview.byTask.map((group) => ({ ...group })),
    untouched,
    sample: first.map((job) => toJobRow(job, pauses.value, ground)),
  });
}

async function previewIds(
  ground: AdminGround,
  principal: Principal,
  { action, ids, reason, to, again }: PreviewRequest & { readonly ids: readonly string[] },
): Promise<PreviewAnswer> {
  const { access, clock, facts } = ground;
  // Names a job only to have the rest checked as that of a filter is.
  const order = await access.toOrder({ action, filter: { task: "by id" }, reason, to, again }, {});
  const [jobs, pauses] = await Promise.all([access.getJobs(ids), facts.pauses.get()]);
  const own = jobs.filter((job) => maySee(principal, job));
  const touched = own.filter(({ state }) => CHANGED_STATES[action].includes(state));
  const asOf = new Date(clock.now()).toISOString();
  const exactly = (value: number) => ({ value, exact: true, asOf });
  const others = (Object.keys(REASONS) as JobState[])
    .filter((state) => !CHANGED_STATES[action].includes(state))
    .map((state) => ({ reason: REASONS[state], count: exactly(own.filter((job) => job.state === state).length) }));
  const gone = { reason: "They are gone, or none of yours.", count: exactly(new Set(ids).size - own.length) };
  return signed(ground, principal, {
    order,
    byId: { action, ids: touched.map(({ id }) => id), reason, to, again },
    asOf,
    matched: exactly(touched.length),
    byState: countBy(touched),
    byTask: tasksOf(touched),
    untouched: [...others, gone].filter(({ count }) => count.value > 0),
    sample: touched.slice(0, 5).map((job) => toJobRow(job, pauses.value, ground)),
  });
}

interface Found extends Pick<PreviewAnswer, "asOf" | "matched" | "byState" | "byTask" | "untouched" | "sample"> {
  readonly order: BoundOrder;
  readonly byId?: ActionRequest;
}

function signed({ tokens }: AdminGround, principal: Principal, { order, byId, ...found }: Found): PreviewAnswer {
  const { value, exact } = found.matched;
  const confirm = value > 1_000 ? String(value) : null;
  const claims = {
    who: principal.name,
    scope: scopeText(principal),
    order,
    byId,
    expected: exact ? value : null,
    confirm,
  };
  const { token, expiresAt } = tokens.issue(claims);
  const { action } = order;
  const number = exact ? formatCount(value, "job") : `more than ${formatCount(value, "job")}`;
  const of = found.byTask.length === 0 ? "" : ` of ${formatCount(found.byTask.length, "task")}`;
  const sentence = `${VERBS[action]} ${number}${of}${overTime(order)}`;
  const undo = byId && isUndoable(action) ? UNDO_HERE : UNDO[action];
  return { ...found, action, sentence, undo, confirm, token, expiresAt: expiresAt.toISOString() };
}

/** Over which time they run, where that was asked for. */
function overTime({ change }: BoundOrder): string {
  const { spreadMs = 0 } = change.retry ?? {};
  return spreadMs === 0 ? "" : ` over ${formatSpan(spreadMs)}`;
}

/** Jobs that pass the filter and are in a state that the action does not change. */
async function untouchedOf({ access, clock }: AdminGround, order: BoundOrder): Promise<PreviewAnswer["untouched"]> {
  const { state } = order.filter;
  const others = (Object.keys(REASONS) as JobState[]).filter((other) => !CHANGED_STATES[order.action].includes(other));
  const asked = state === undefined ? others : [];
  const found: PreviewAnswer["untouched"] = [];
  for (const other of asked) {
    const { matched, exact } = await access.countUntouched(order, other);
    const count = { value: matched, exact, asOf: new Date(clock.now()).toISOString() };
    if (matched > 0) found.push({ reason: REASONS[other], count });
  }
  return found;
}

function scopeText({ tasks, queues }: Principal): string {
  return JSON.stringify([tasks ?? null, queues ?? null]);
}

function countBy(jobs: readonly Job[]): PreviewAnswer["byState"] {
  const count = (state: JobState): number => jobs.filter((job) => job.state === state).length;
  return { ready: count("ready"), scheduled: count("scheduled"), running: count("running"), failed: count("failed") };
}

function tasksOf(jobs: readonly Job[]): PreviewAnswer["byTask"] {
  const counts = new Map<string, number>();
  for (const { task } of jobs) counts.set(task, (counts.get(task) ?? 0) + 1);
  return [...counts].map(([task, count]) => ({ task, count })).sort((a, b) => b.count - a.count);
}
