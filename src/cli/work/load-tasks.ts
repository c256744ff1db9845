import { readdir, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { HowdahError } from "../../errors.ts";
import type { AnyTask } from "../../job/task.ts";
import { suggestName } from "../../runtime/suggestion.ts";
import type { WorkerOptions } from "../../worker/options.ts";
import { importModule, MODULE_EXTENSIONS } from "./import-module.ts";
import { tasksOfFolder, type TaskSettings } from "./task-folder.ts";
import { isConfiguration, tasksOfModule } from "./task-module.ts";

/**
 * Loads what a worker of the command line runs: the tasks of a module or of a
 * folder, or the options that a module exports as its default. Without a source
 * it is `howdah.config` with the extension of a module, or the folder `tasks`.
 * Throws `HOWDAH_OPTION_INVALID`.
 */
export async function loadTasks(
  source: string | undefined,
  settings: TaskSettings & { readonly folder: string },
): Promise<LoadedTasks> {
  const path = source === undefined ? await findSource(settings.folder) : resolve(settings.folder, source);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw await missing(source ?? path, path, settings.folder);
  if (found.isDirectory()) return { options: {}, ...(await tasksOfFolder(path, settings)) };
  const exported = await importModule(path);
  const configuration = exported["default"];
  if (isConfiguration(configuration)) {
    const { tasks, ...options } = configuration;
    return { tasks, options, leftOut: [] };
  }
  const tasks = tasksOfModule(exported, withoutExtension(basename(path)), path);
  if (tasks.length > 0) return { tasks, options: {}, leftOut: [] };
  throw invalid(
    `${JSON.stringify(source ?? path)} exports no task: export what defineTask() returns, functions by the name ` +
      "of their task, or the options of a worker as default.",
  );
}

/** What a worker of the command line runs. */
export interface LoadedTasks {
  readonly tasks: readonly AnyTask[];
  /** What a configuration sets beside its tasks. */
  readonly options: Partial<Omit<WorkerOptions, "tasks">>;
  /** Files of a folder that are neither modules nor executable. */
  readonly leftOut: readonly string[];
}

const CONFIGURATION = "howdah.config";
const FOLDER = "tasks";

async function findSource(folder: string): Promise<string> {
  const candidates = [...MODULE_EXTENSIONS.map((extension) => `${CONFIGURATION}${extension}`), FOLDER];
  for (const name of candidates) {
    const path = join(folder, name);
    if (await stat(path).catch(() => undefined)) return path;
  }
  throw invalid(
    "Say which tasks to run: howdah work FILE or howdah work FOLDER. Without either it takes howdah.config.ts " +
      "(or .mts, .js, .mjs, .cjs) or the folder tasks, and this folder has neither.",
  );
}

/** Names what was most likely meant: the nearest name where the first part of the path that there is not should be. */
async function missing(source: string, path: string, folder: string): Promise<HowdahError> {
  const near = await nearestPath(path);
  const shown = near === undefined || isAbsolute(source) ? near : relative(folder, near);
  const hint = shown === undefined ? "" : ` Did you mean ${JSON.stringify(shown)}?`;
  return invalid(`There is no file or folder ${JSON.stringify(source)}.${hint}`);
}

async function nearestPath(path: string): Promise<string | undefined> {
  const parent = dirname(path);
  const entries = await readdir(parent, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return parent === path ? undefined : nearestPath(parent);
  const names = entries
    .filter((entry) => entry.isDirectory() || MODULE_EXTENSIONS.some((extension) => entry.name.endsWith(extension)))
    .map(({ name }) => name);
  const name = suggestName(basename(path), names);
  return name === undefined ? undefined : join(parent, name);
}

function withoutExtension(name: string): string {
  const extension = MODULE_EXTENSIONS.find((each) => name.endsWith(each)) ?? "";
  return name.slice(0, name.length - extension.length);
}

function invalid(message: string): HowdahError {
  return new HowdahError("HOWDAH_OPTION_INVALID", message);
}
