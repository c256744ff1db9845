import type { AddAnswer } from "../../../src/admin/contract/group-views.ts";
import type { SchedulesAnswer, ScheduleView } from "../../../src/admin/contract/overview-views.ts";
import { act } from "../actions/act.ts";
import { PauseButton } from "../actions/pause-button.tsx";
import { dataOf } from "../api/view-state.ts";
import { inPath, useAnswer, usePage } from "../page.ts";
import { Async } from "../parts/async.tsx";
import { Length, Moment } from "../parts/figures.tsx";
import { Icon, StateMark } from "../parts/icons.tsx";
import { NameLink } from "../parts/links.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { cronWords } from "./cron-words.ts";

/** What recurs: in words, when it was last, and when it is next. */
export function ScheduleList() {
  const state = useAnswer<SchedulesAnswer>("schedules");
  return (
    <div class="view schedules">
      <ViewHead title="Schedules" help="schedules" asOf={dataOf(state)?.asOf} />
      <Async state={state} path="schedules" rows={8}>
        {({ schedules }) =>
          schedules.length === 0 ? (
            <p class="empty frame">
              No schedule is stored. Entries of a crontab that a worker reads are not stored, and are not shown here.
            </p>
          ) : (
            <ul class="cards">
              {schedules.map((schedule) => (
                <Schedule key={schedule.id} schedule={schedule} />
              ))}
            </ul>
          )
        }
      </Async>
    </div>
  );
}

function Schedule({ schedule }: { readonly schedule: ScheduleView }) {
  const { id, task, timeZone, lastTick, nextTicks, missed, fillMs, isPaused, pausedUntil, isTaskKnown, queueName } =
    schedule;
  const expression = schedule.schedule;
  return (
    <li class={isTaskKnown ? "card" : "card bad-edge"}>
      <header>
        <h2 class="mono">{id}</h2>
        {isPaused && <StateMark state="paused" />}
        <ScheduleActions schedule={schedule} />
      </header>
      <p>
        <NameLink of="tasks" name={task} /> {cronWords(expression) ?? ""} <code>{expression}</code>{" "}
        <span class="quiet">{timeZone}</span>
        {queueName !== null && (
          <>
            {" "}
            in queue <NameLink of="queues" name={queueName} />
          </>
        )}
      </p>
      {!isTaskKnown && (
        <p class="bad">
          <Icon name="warning" /> No live worker runs this task.
        </p>
      )}
      <dl class="inline-facts">
        <div>
          <dt>Next</dt>
          <dd>
            {nextTicks.length === 0
              ? pausedUntil === null && isPaused
                ? "none while it is paused"
                : "none"
              : nextTicks.map((tick) => (
                  <span key={tick} class="tick">
                    <Moment at={tick} />
                  </span>
                ))}
          </dd>
        </div>
        <div>
          <dt>Last</dt>
          <dd>{lastTick === null ? "none yet" : <Moment at={lastTick} />}</dd>
        </div>
        <div>
          <dt>Missed</dt>
          <dd>
            {missed}, back to <Length ms={fillMs} />
          </dd>
        </div>
      </dl>
    </li>
  );
}

function ScheduleActions({ schedule: { id, isPaused, pausedUntil } }: { readonly schedule: ScheduleView }) {
  const page = usePage();
  if (!page.canOperate.value) return null;
  const trigger = (): void =>
    void act<AddAnswer>(page, {
      path: `schedules/${inPath(id)}/trigger`,
      says: (added) => `Job ${added.id} is added.`,
      reloads: ["schedules"],
    });
  return (
    <div class="actions">
      <button type="button" class="small" aria-label={`Add a job now, schedule ${id}`} onClick={trigger}>
        Add a job now
      </button>
      <PauseButton of="schedules" name={id} isPaused={isPaused} pausedUntil={pausedUntil} reloads={["schedules"]} />
    </div>
  );
}
