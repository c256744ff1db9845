import type { JobFacts } from "./facts.ts";
import {
  claimsFail,
  flagForbidden,
  noWorker,
  slotsBusy,
  startsSoon,
  taskUnknown,
  unannounced,
} from "./worker-reasons.ts";
import { failed, gone, locked, notFirst, queueLocked, queuePaused, scheduled, taskPaused } from "./job-reasons.ts";
import { poolFull, queueFull, queueParked, queueRated } from "./limit-reasons.ts";
import type { JobReason, ReasonRule } from "./reason.ts";

/**
 * Why a job does not run, decided by what was read at one moment. What counts
 * first stands first; what follows would keep the job from running as well.
 *
 *   reason           when                                                      alone
 *   gone             there is no such job                                      yes
 *   running          it is locked, and its holder runs it, or does not say     yes
 *   in_memory        it is locked, and its holder says that it waits there     yes
 *   holder_dead      it is locked by a worker that is dead or not registered   yes
 *   cancelled        it failed for good because it was cancelled while it ran  yes
 *   failed           it failed for good: no attempts are left                  yes
 *   scheduled        it is not due yet
 *   task_paused      its task is paused
 *   queue_paused     its queue is paused
 *   no_worker        no worker lives, or those that do are shutting down
 *   task_unknown     no worker that lives knows its task
 *   flag_forbidden   each of those that know it forbids one of its flags
 *   queue_locked     its queue is locked: another job of it runs
 *   parked           a handler has told its queue to wait
 *   limit            as many jobs of its queue run as its rules let run
 *   rate             the rate of its queue lets none start now
 *   pool             the pool of its queue is full, or its rate lets none start
 *   not_first        due jobs of its queue come before it
 *   slots_busy       each of those that could take it is full
 *   claims_fail      the claims of each of those that are not full fail
 *   unannounced      none of the above, and it has been due for a second       yes
 *   soon             none of the above                                         yes
 */
export function reasonsOf(facts: JobFacts): readonly JobReason[] {
  for (const end of ENDS) {
    const reason = end(facts);
    if (reason) return [reason];
  }
  const found = OBSTACLES.flatMap((obstacle) => obstacle(facts) ?? []);
  return found.length > 0 ? found : [unannounced(facts) ?? startsSoon(facts)];
}

/** After these nothing else is in the way. */
const ENDS: readonly ReasonRule[] = [gone, locked, failed];

const OBSTACLES: readonly ReasonRule[] = [
  scheduled,
  taskPaused,
  queuePaused,
  noWorker,
  taskUnknown,
  flagForbidden,
  queueLocked,
  queueParked,
  queueFull,
  queueRated,
  poolFull,
  notFirst,
  slotsBusy,
  claimsFail,
];
