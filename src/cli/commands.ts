import type { CliCommand } from "./command.ts";
import { addCommand } from "./commands/add.ts";
import { adminCommand } from "./commands/admin.ts";
import { cancelCommand, failCommand, removeCommand, retryCommand } from "./commands/changes.ts";
import { cleanupCommand } from "./commands/cleanup.ts";
import { completeCommand } from "./commands/complete.ts";
import { completionCommand } from "./commands/completion.ts";
import { cronCommand } from "./commands/cron.ts";
import { demoCommand } from "./commands/demo.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { eraseCommand } from "./commands/erase.ts";
import { errorsCommand } from "./commands/errors.ts";
import { healthCommand } from "./commands/health.ts";
import { historyCommand } from "./commands/history.ts";
import { listCommand } from "./commands/list.ts";
import { metricsCommand } from "./commands/metrics.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { operationsCommand } from "./commands/operations.ts";
import { queuesCommand, tasksCommand } from "./commands/pauses.ts";
import { rescheduleCommand } from "./commands/reschedule.ts";
import { rulesCommand } from "./commands/rules.ts";
import { schedulesCommand } from "./commands/schedules.ts";
import { resultCommand } from "./commands/result.ts";
import { showCommand } from "./commands/show.ts";
import { statsCommand } from "./commands/stats.ts";
import { unlockCommand } from "./commands/unlock.ts";
import { watchCommand } from "./commands/watch.ts";
import { workCommand } from "./commands/work.ts";
import { whyCommand } from "./commands/why.ts";
import { workersCommand } from "./commands/workers.ts";

const COMPLETED: readonly CliCommand[] = [
  migrateCommand,
  workCommand,
  addCommand,
  statsCommand,
  listCommand,
  showCommand,
  resultCommand,
  whyCommand,
  historyCommand,
  errorsCommand,
  retryCommand,
  rescheduleCommand,
  completeCommand,
  failCommand,
  cancelCommand,
  removeCommand,
  operationsCommand,
  queuesCommand,
  tasksCommand,
  rulesCommand,
  workersCommand,
  doctorCommand,
  healthCommand,
  metricsCommand,
  watchCommand,
  adminCommand,
  unlockCommand,
  cleanupCommand,
  eraseCommand,
  schedulesCommand,
  cronCommand,
  demoCommand,
];

/** Every command, in the order in which the help lists them. */
export const COMMANDS: readonly CliCommand[] = [...COMPLETED, completionCommand(COMPLETED)];
