import { HowdahError } from "../../errors.ts";
import { type AnyTask, defineTask, type Task } from "../../job/task.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import { isOptionsObject } from "../../runtime/options.ts";
import type { WorkerOptions } from "../../worker/options.ts";

/**
 * The tasks that a module exports: tasks, functions by the name of their task,
 * a list of tasks or an object with functions as the default; a function as the
 * default has the name of the file. Other exports are the module's own affair.
 */
export function tasksOfModule(exported: ModuleExports, name: string, file: string): AnyTask[] {
  const main = exported["default"];
  const found = Object.entries(exported).flatMap(([key, value]) => (MAIN.includes(key) ? [] : tasksOf(value, key)));
  if (main === undefined) return found;
  // What a CommonJS module exports by name is in its default, too.
  const others = found.filter((task) => !isAmong(main, task));
  if (Array.isArray(main)) return [...others, ...main.map((each, index) => checkTask(each, `[${index}]`, file))];
  if (typeof main === "function" || isTask(main)) return [...tasksOf(main, name), ...others];
  if (!isOptionsObject(main)) throw notTasks(describeValue(main), file);
  const inside = Object.entries(main).flatMap(([key, value]) => tasksOf(value, key));
  const known = new Set(inside.map(({ identifier }) => identifier));
  return [...inside, ...others.filter(({ identifier }) => !known.has(identifier))];
}

/** The names of the default; newer releases of Node.js give that of a CommonJS module two. */
const MAIN = ["default", "module.exports"];

/** What a module exports, by name. */
export type ModuleExports = Readonly<Record<string, unknown>>;

/** Are these the options of a worker, with its tasks? */
export function isConfiguration(value: unknown): value is WorkerOptions {
  return isOptionsObject(value) && Array.isArray((value as Partial<WorkerOptions>).tasks);
}

function isAmong(main: unknown, task: AnyTask): boolean {
  return Array.isArray(main) && main.includes(task);
}

function tasksOf(value: unknown, name: string): AnyTask[] {
  if (isTask(value)) return [value];
  if (typeof value !== "function") return [];
  return [defineTask({ identifier: name, run: value as Task["run"] })];
}

/** Made by `defineTask` or `defineBatchTask`, perhaps of another copy of this package. */
function isTask(value: unknown): value is AnyTask {
  if (!isOptionsObject(value)) return false;
  const { kind, identifier } = value as Partial<AnyTask>;
  return (kind === "single" || kind === "batch") && typeof identifier === "string";
}

function checkTask(value: unknown, place: string, file: string): AnyTask {
  if (isTask(value)) return value;
  throw notTasks(`${describeValue(value)} at ${place}`, file);
}

function notTasks(found: string, file: string): HowdahError {
  return new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `The default export of ${JSON.stringify(file)} has to be a task, a function, a list of tasks or the options of a worker; found ${found}.`,
  );
}
