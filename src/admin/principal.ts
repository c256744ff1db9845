import { HowdahError } from "../errors.ts";
import type { Scope } from "../client/operator-access.ts";
import type { Role } from "./contract/component.ts";

/** Who asks, and what they may do. */
export interface Principal {
  /** Appears in the log and in the record of changes. 1 to 200 characters. */
  readonly name: string;
  /**
   * `read` sees, `operate` changes jobs, queues, tasks and schedules, `admin`
   * unlocks by force and sweeps, too.
   */
  readonly role: Role;
  /** The only tasks that they may see and change. Default: all. */
  readonly tasks?: readonly string[] | undefined;
  /** The only queues; `null` among them stands for jobs without a queue. Default: all. */
  readonly queues?: readonly (string | null)[] | undefined;
}

/** Checks what `authorize` returned. Throws `HOWDAH_OPTION_INVALID`. */
export function checkPrincipal(given: unknown): Principal {
  const { name, role, tasks, queues } = (
    typeof given === "object" && given !== null ? given : {}
  ) as Partial<Principal>;
  const isName = typeof name === "string" && name !== "" && name.length <= 200;
  const isList = (list: unknown, fits: (value: unknown) => boolean): boolean =>
    list === undefined || (Array.isArray(list) && list.every(fits));
  const isText = (value: unknown): boolean => typeof value === "string";
  if (isName && isRole(role) && isList(tasks, isText) && isList(queues, (queue) => queue === null || isText(queue)))
    return { name, role, tasks, queues };
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    '`authorize` must return `{ name, role, tasks?, queues? }` with the role "read", "operate" or "admin", or a Response.',
  );
}

/** Whether a role is one of ours. */
export function isRole(role: unknown): role is Role {
  return typeof role === "string" && Object.hasOwn(RANKS, role);
}

const RANKS: Readonly<Record<Role, number>> = { read: 0, operate: 1, admin: 2 };

/** Throws `HOWDAH_ADMIN_FORBIDDEN` when the role is less than this one. */
export function requireRole({ role }: Principal, needed: Role): void {
  if (RANKS[role] >= RANKS[needed]) return;
  throw forbidden(`This needs the role "${needed}"; you have the role "${role}".`);
}

/** What someone may see, as lists take it. */
export function scopeOf({ tasks, queues }: Principal): Scope {
  return {
    ...(tasks === undefined ? {} : { tasks }),
    ...(queues === undefined ? {} : { queueNames: queues }),
  };
}

/** Whether someone is limited to some tasks or queues. */
export function isLimited({ tasks, queues }: Principal): boolean {
  return tasks !== undefined || queues !== undefined;
}

/** Whether someone may see this job. */
export function maySee(
  { tasks, queues }: Principal,
  job: { readonly task: string; readonly queueName: string | null },
): boolean {
  return (tasks === undefined || tasks.includes(job.task)) && (queues === undefined || queues.includes(job.queueName));
}

/** Whether someone may see a task as a whole: not when only their queues are named. */
export function maySeeTask({ tasks, queues }: Principal, name: string): boolean {
  return tasks === undefined ? queues === undefined : tasks.includes(name);
}

/** Whether someone may see a queue as a whole: not when only their tasks are named. */
export function maySeeQueue({ tasks, queues }: Principal, name: string): boolean {
  return queues === undefined ? tasks === undefined : queues.includes(name);
}

/** Whether someone may pause a task: not when only some queues are theirs, whose jobs are not all of it. */
export function mayPauseTask(principal: Principal, name: string): boolean {
  return principal.queues === undefined && maySeeTask(principal, name);
}

/** Whether someone may pause a queue: not when only some tasks are theirs. */
export function mayPauseQueue(principal: Principal, name: string): boolean {
  return principal.tasks === undefined && maySeeQueue(principal, name);
}

/** Throws `HOWDAH_ADMIN_FORBIDDEN` when someone is limited to some tasks or queues. */
export function requireUnlimited(principal: Principal, what: string): void {
  if (isLimited(principal)) throw forbidden(`${what} concerns all tasks and queues; you are limited to some of them.`);
}

/** The error for what someone may not do. */
export function forbidden(message: string): HowdahError {
  return new HowdahError("HOWDAH_ADMIN_FORBIDDEN", message);
}
