import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { migrations } from "../../postgres/migrations.generated.ts";
import type { Registration } from "../../postgres/queries/liveness.ts";
import { writeProcessMark, type ProcessMark } from "../../runtime/process-mark.ts";
import type { WorkerContext } from "../worker-context.ts";

/** What other workers, and operators, can learn of a worker while it is registered. */
export function registrationOf({ tasks, settings }: RegistrationContext, mark: ProcessMark): Registration {
  const metadata = {
    pid: process.pid,
    host: hostname(),
    version: packageVersion(),
    revision: migrations.at(-1)?.id,
    tasks: tasks.identifiers,
    concurrency: settings.concurrency,
  };
  return { process: writeProcessMark(mark), metadata };
}

type RegistrationContext = Pick<WorkerContext, "tasks"> & {
  readonly settings: Pick<WorkerContext["settings"], "concurrency">;
};

/** The version of this package, or "unknown" where a bundler has taken it apart. */
function packageVersion(): string {
  try {
    const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
    const { name, version } = JSON.parse(text) as { name?: string; version?: string };
    return name === "howdah" && version !== undefined ? version : "unknown";
  } catch {
    return "unknown";
  }
}
