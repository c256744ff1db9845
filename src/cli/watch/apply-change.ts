import type { Client } from "../../client/client.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { printable } from "../printable.ts";
import type { Change } from "./watch-state.ts";

/** Does what an operator has asked for, and says what was done. */
export async function applyChange(client: Client, { action, subject }: Change): Promise<string> {
  const { kind, name } = subject;
  if (action === "pause" || action === "resume") {
    if (kind === "task") await (action === "pause" ? client.pauseTask(name) : client.resumeTask(name));
    if (kind === "queue") await (action === "pause" ? client.pauseQueue(name) : client.resumeQueue(name));
    if (kind === "schedule") await client.schedules[action](name);
    return `${action === "pause" ? "Paused" : "Resumed"} ${kind} ${printable(name)}.`;
  }
  if (action === "retry") {
    const changed =
      kind === "job" ? (await client.retryJobs([name])).length : (await client.retryJobs(filterOf(subject))).changed;
    return `Retried ${formatCount(changed, "job")}.`;
  }
  if (kind === "job") {
    const { removed, signalled } = await client.cancelJobs([name]);
    return `Cancelled ${formatCount(removed.length + signalled.length, "job")}.`;
  }
  const { changed, signalled } = await client.cancelJobs(filterOf(subject));
  return `Removed ${formatCount(changed, "job")}, told ${formatCount(signalled, "job")} to stop.`;
}

/** How many jobs a change is about. */
export async function previewChange(client: Client, { action, subject }: Change): Promise<number> {
  const filter = filterOf(subject);
  const dryRun = { dryRun: true } as const;
  const { matched } = await (action === "retry"
    ? client.retryJobs(filter, dryRun)
    : client.cancelJobs(filter, undefined, dryRun));
  return matched;
}

function filterOf({ kind, name }: Change["subject"]) {
  return kind === "task" ? { task: name } : { queueName: name };
}
