import { createAdmin } from "../../admin/create-admin.ts";
import { createClient } from "../../client/create-client.ts";
import { onOsSignal } from "../../worker/process-end.ts";
import type { Call } from "../command.ts";
import { commandLogger, connectionOptions, sayingWhenSlow } from "../connect.ts";
import { printStep } from "../demo/report.ts";
import { type LoadedTasks, loadTasks } from "../work/load-tasks.ts";
import { type Access, type AccessOptions, createAccess } from "./admin-access.ts";
import { startAdminServer } from "./admin-server.ts";

/**
 * Serves the page for operators until a signal ends it. Rejects as `createClient` does, and with
 * `HOWDAH_OPTION_INVALID` for what the command line has wrong.
 */
export async function serveAdmin({ screen, globals, options }: Call): Promise<void> {
  const flags = options as unknown as AdminFlags;
  const access = createAccess({ ...flags, secret: process.env["HOWDAH_ADMIN_SECRET"] });
  const logger = commandLogger();
  const tasks = await tasksOf(flags);
  const connecting = createClient({
    ...connectionOptions(globals),
    maxConnections: CONNECTIONS,
    preparedStatements: false,
    migrate: flags.migrate === true,
    logger,
  });
  await using client = await sayingWhenSlow(logger, connecting);
  await using admin = createAdmin({
    client,
    tasks,
    logger,
    authorize: access.authorize,
    basePath: flags.basePath,
    readOnly: flags.readOnly === true,
    trustProxy: flags.trustProxy === true,
    redact: flags.redact ?? [],
    ...(flags.environment === undefined ? {} : { environment: { name: flags.environment } }),
  });
  await using server = await startAdminServer(admin, flags.listen);
  announce({ screen, globals }, `${server.origin}${slashed(flags.basePath)}`, { access, flags });
  await new Promise<void>((resolve) => void onOsSignal(() => resolve()));
}

/** The options of `howdah admin`. */
export interface AdminFlags extends Pick<AccessOptions, "listen" | "auth" | "user" | "header"> {
  readonly tasks?: string;
  readonly readOnly?: boolean;
  readonly basePath: string;
  readonly trustProxy?: boolean;
  readonly redact?: readonly string[];
  readonly environment?: string;
  readonly migrate?: boolean;
}

/** None of them runs here, so how long one may take does not matter. */
async function tasksOf({ tasks }: AdminFlags): Promise<LoadedTasks["tasks"]> {
  if (tasks === undefined) return [];
  return (await loadTasks(tasks, { folder: process.cwd(), timeout: "4h" })).tasks;
}

/** Enough for the reads of several people; the live ones share one. */
const CONNECTIONS = 5;

/** With a slash at both ends. */
function slashed(path: string): string {
  return `/${path.split("/").filter(Boolean).join("/")}/`.replace("//", "/");
}

function announce(
  { screen, globals }: Pick<Call, "screen" | "globals">,
  url: string,
  { access, flags }: { readonly access: Access; readonly flags: AdminFlags },
): void {
  if (globals.json) {
    screen.printLine({ url, auth: flags.auth, secret: access.generated ?? null, readOnly: flags.readOnly === true });
    return;
  }
  printStep(screen, "Page", url);
  for (const [subject, text] of access.lines) printStep(screen, subject, text);
  if (flags.readOnly) printStep(screen, "Read-only", "every change is refused");
}
