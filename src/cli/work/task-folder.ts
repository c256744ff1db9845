import { constants } from "node:fs";
import { access, readdir, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { HowdahError } from "../../errors.ts";
import type { AnyTask } from "../../job/task.ts";
import type { Duration } from "../../runtime/duration.ts";
import { executableTask } from "./executable-task.ts";
import { importModule, MODULE_EXTENSIONS } from "./import-module.ts";
import { tasksOfModule } from "./task-module.ts";

/**
 * The tasks of a folder and of the folders in it: modules, and files that can be
 * executed. A function that is the default export has the path below the folder
 * as its task, without the extension: `mail/send.ts` is `mail/send`. Hidden
 * files, those that begin with `_`, tests and declarations are passed by.
 */
export async function tasksOfFolder(folder: string, settings: TaskSettings): Promise<FolderTasks> {
  const tasks: AnyTask[] = [];
  const leftOut: string[] = [];
  const fileOf = new Map<string, string>();
  for (const path of await filesOf(folder)) {
    const name = relative(folder, path).split(sep).join("/");
    const found = await tasksOfFile(path, name, settings);
    if (found === undefined) leftOut.push(name);
    for (const task of found ?? []) {
      const before = fileOf.get(task.identifier);
      if (before !== undefined) throw twice(task.identifier, before, name);
      fileOf.set(task.identifier, name);
      tasks.push(task);
    }
  }
  if (tasks.length === 0)
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `Folder ${JSON.stringify(folder)} has no module and no executable file.`,
    );
  return { tasks, leftOut };
}

/** The tasks of a folder. */
export interface FolderTasks {
  readonly tasks: readonly AnyTask[];
  /** Files that are neither modules nor executable. */
  readonly leftOut: readonly string[];
}

/** What tasks that are executable files are given. */
export interface TaskSettings {
  /** How long one attempt may take. */
  readonly timeout: Duration;
}

async function filesOf(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(isWanted).sort();
  const found = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      return (await stat(path)).isDirectory() ? filesOf(path) : [path];
    }),
  );
  return found.flat();
}

function isWanted(name: string): boolean {
  return !/^[._]|^node_modules$|\.d\.[mc]?ts$|\.(?:test|spec)\.[mc]?[jt]s$|\.map$/.test(name);
}

async function tasksOfFile(path: string, name: string, { timeout }: TaskSettings): Promise<AnyTask[] | undefined> {
  const extension = MODULE_EXTENSIONS.find((each) => name.endsWith(each));
  if (extension !== undefined) {
    const tasks = tasksOfModule(await importModule(path), name.slice(0, -extension.length), path);
    return tasks.length === 0 ? undefined : tasks;
  }
  const isExecutable = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
  return isExecutable ? [executableTask(path, { identifier: name.replace(/\.[^./]+$/, ""), timeout })] : undefined;
}

function twice(identifier: string, before: string, name: string): HowdahError {
  return new HowdahError(
    "HOWDAH_TASK_DUPLICATE",
    `Task ${JSON.stringify(identifier)} is in two files, ${JSON.stringify(before)} and ${JSON.stringify(name)}.`,
  );
}
