import type { Job } from "../../job/job.ts";
import type { ActionAnswer, ActionRequest } from "../contract/bulk-views.ts";
import type { AddRequest } from "../contract/group-views.ts";
import type { AdminGround, Handlers } from "../ground.ts";
import { forbidden, isLimited, maySee, type Principal } from "../principal.ts";
import { RequestError } from "../problem.ts";
import { parseJsonTree, type JsonTree } from "../redact/json-tree.ts";
import { isUndoable, undoOf } from "../undo.ts";
import { visibleJob } from "./read-jobs.ts";

/** The routes that add and change single jobs. */
export function createJobChanges(ground: AdminGround): Pick<Handlers, "addJob" | "changeJobs"> {
  const { audit, client, schemas } = ground;

  return {
    async addJob({ body, principal, requestId }) {
      const { task, payload: _payload, copyOf, jobKey, queueName = null, ...spec } = body;
      if (!maySee(principal, { task, queueName }))
        throw forbidden(`You may not add jobs of the task ${JSON.stringify(task)} ${queueOf(queueName)}.`);
      if (spec.jobKeyMode !== undefined && jobKey === undefined)
        throw new RequestError("A `jobKeyMode` needs a `jobKey`.", [{ path: "jobKey", message: "is missing" }]);
      await checkKey(ground, principal, jobKey);
      const payload = await toPayload(ground, principal, body);
      const target = { name: task, queueName, jobKey, ids: copyOf === undefined ? undefined : [copyOf] };
      return audit.record({ principal, requestId, action: "jobs.add", target }, async () => {
        const known = schemas.find(task);
        // A copy is as its original was; and defaults may name a queue or a key that is none of theirs.
        const isPlain = copyOf !== undefined || isLimited(principal);
        const declared = known && isPlain ? { ...known, defaults: undefined } : known;
        const whole = { ...spec, jobKey, queueName: queueName ?? undefined };
        const job =
          declared?.kind === "batch"
            ? await client.addBatchJob(declared, payload as unknown[], whole)
            : await client.addJob(declared ?? task, payload, whole);
        return { answer: { id: job.id }, count: 1 };
      });
    },

    async changeJobs({ body, principal, requestId }) {
      const { action, reason, to, again } = body;
      const target = { ids: body.ids, reason, to, again };
      return audit.record({ principal, requestId, action: `jobs.${action}`, target }, async () => {
        const { changed, signalled, undo } = await changeOwn(ground, principal, body);
        const done = new Set([...changed, ...signalled]);
        const untouched = body.ids.filter((id) => !done.has(id));
        return { answer: { changed, signalled, untouched, undo }, count: done.size };
      });
    },
  };
}

/** Changes those of these jobs that someone may see, and says which, and how that is undone. */
export async function changeOwn(
  { access, client }: Pick<AdminGround, "access" | "client">,
  principal: Principal,
  request: ActionRequest,
): Promise<Omit<ActionAnswer, "untouched">> {
  const isRead = isLimited(principal) || isUndoable(request.action);
  const found = isRead ? (await access.getJobs(request.ids)).filter((job) => maySee(principal, job)) : [];
  const ids = isLimited(principal) ? found.map(({ id }) => id) : request.ids;
  const done = await change(client, { ...request, ids });
  const changed = new Set(done.changed);
  const before = found.filter(({ id }) => changed.has(id));
  return { ...done, undo: undoOf(request, before) };
}

async function change(
  client: AdminGround["client"],
  { action, ids, reason, to, again }: ActionRequest,
): Promise<Pick<ActionAnswer, "changed" | "signalled">> {
  const idsOf = (jobs: readonly Job[]): string[] => jobs.map(({ id }) => id);
  switch (action) {
    case "retry":
      return { changed: idsOf(await client.retryJobs(ids, again)), signalled: [] };
    case "reschedule":
      return { changed: idsOf(await client.rescheduleJobs(ids, to ?? {})), signalled: [] };
    case "complete":
      return { changed: idsOf(await client.completeJobs(ids)), signalled: [] };
    case "fail":
      return { changed: idsOf(await client.permanentlyFailJobs(ids, reason)), signalled: [] };
    case "remove":
      return { changed: idsOf(await client.removeJobs(ids)), signalled: [] };
    case "cancel": {
      const { removed, signalled } = await client.cancelJobs(ids, reason);
      return { changed: [...removed], signalled: [...signalled] };
    }
  }
}

/** An add with a key changes the job that has it: that must be one of theirs. */
async function checkKey({ access }: AdminGround, principal: Principal, jobKey: string | undefined): Promise<void> {
  if (jobKey === undefined || !isLimited(principal)) return;
  const page = { isBackward: false, after: undefined, limit: 1, isFresh: true };
  const { jobs } = await access.listJobs({ jobKey }, {}, page);
  if (jobs.every((job) => maySee(principal, job))) return;
  throw forbidden("A job of another task or queue has this key.");
}

/** The payload as it is stored: where a copy is redacted, what the original has. */
async function toPayload(ground: AdminGround, principal: Principal, { payload, copyOf }: AddRequest): Promise<unknown> {
  const text = payload ?? "{}";
  const field = (message: string) => [{ path: "payload", message }];
  let tree: JsonTree;
  try {
    tree = parseJsonTree(text);
  } catch {
    throw new RequestError("The payload must be JSON.", field("must be JSON"));
  }
  const rounded = roundedNumber(tree);
  if (rounded !== undefined)
    throw new RequestError(
      `The number ${rounded.slice(0, 50)} of the payload would be rounded: write it as a text, or add the job with SQL.`,
      field("has a number that would be rounded"),
    );
  if (copyOf === undefined) return JSON.parse(text);
  const original = await visibleJob(ground.access, principal, copyOf);
  const restored = ground.redaction.restored(text, original.payload);
  if (restored !== text && roundedNumber(parseJsonTree(restored)) !== undefined)
    throw new RequestError(
      "A hidden number of the payload would be rounded: add the job with SQL.",
      field("has a hidden number that would be rounded"),
    );
  return JSON.parse(restored);
}

/** An integer beyond those that JavaScript is exact for. */
function roundedNumber(tree: JsonTree): string | undefined {
  if (tree.kind === "leaf") return isRounded(tree.text) ? tree.text : undefined;
  const values = tree.kind === "array" ? tree.items : tree.members.map(([, value]) => value);
  for (const value of values) {
    const found = roundedNumber(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isRounded(text: string): boolean {
  return /^-?\d+$/.test(text) && !Number.isSafeInteger(Number(text));
}

function queueOf(queueName: string | null): string {
  return queueName === null ? "without a queue" : `in the queue ${JSON.stringify(queueName)}`;
}
