import { Option } from "commander";
import { formatCount } from "../../client/views/amounts.ts";
import { describeWhen } from "../../client/views/when.ts";
import type { WorkerInfo } from "../../client/workers.ts";
import { HowdahError } from "../../errors.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";

/** `howdah unlock <workers…>`: unlocks what workers hold that are certainly gone. */
export const unlockCommand: CliCommand = {
  usage: "unlock <workers...>",
  summary: "unlock all jobs and queues of workers that are certainly gone",
  examples: ["howdah unlock worker-5fbb1c --force"],
  options: [new Option("--force", "also workers that seem to live: what they run would run twice")],
  async run({ screen, globals, arguments: workerIds, options }) {
    const unknown = await withClient(globals, async (client) => {
      const registered = await client.listActiveWorkers();
      if (options["force"] !== true) refuseLiving(registered, workerIds);
      await client.forceUnlockWorkers(workerIds);
      return workerIds.filter((given) => !registered.some(({ id }) => id === given));
    });
    if (unknown.length > 0)
      screen.note(
        `Not registered: ${printable(unknown.join(", "))}. That is so after a recovery; else see howdah workers for the ids.`,
      );
    if (globals.json) return screen.printJson({ unlocked: workerIds });
    screen.print(`Unlocked what ${formatCount(workerIds.length, "worker")} held.`);
  },
};

/** A worker that is registered and not stale runs, as far as the database knows. */
function refuseLiving(registered: readonly WorkerInfo[], workerIds: readonly string[]): void {
  const living = registered.find(({ id, isStale }) => !isStale && workerIds.includes(id));
  if (living === undefined) return;
  const when = describeWhen(living.lastHeartbeatAt, systemClock.now());
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `Worker ${printable(living.id)} seems to live: its last heartbeat was ${when}, and what it runs would run twice. ` +
      "Stop it first; with --force it is unlocked anyway.",
  );
}
