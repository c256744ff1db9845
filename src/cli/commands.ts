import type { CliCommand } from "./command.ts";
import { cancelCommand } from "./commands/cancel.ts";
import { cronCommand } from "./commands/cron.ts";
import { demoCommand } from "./commands/demo.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { healthCommand } from "./commands/health.ts";
import { listCommand } from "./commands/list.ts";
import { metricsCommand } from "./commands/metrics.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { queuesCommand, tasksCommand } from "./commands/pauses.ts";
import { schedulesCommand } from "./commands/schedules.ts";
import { showCommand } from "./commands/show.ts";
import { statsCommand } from "./commands/stats.ts";
import { whyCommand } from "./commands/why.ts";
import { workersCommand } from "./commands/workers.ts";

/** Every command, in the order in which the help lists them. */
export const COMMANDS: readonly CliCommand[] = [
  migrateCommand,
  statsCommand,
  listCommand,
  showCommand,
  whyCommand,
  cancelCommand,
  queuesCommand,
  tasksCommand,
  workersCommand,
  doctorCommand,
  healthCommand,
  metricsCommand,
  schedulesCommand,
  cronCommand,
  demoCommand,
];
