import { useLocation } from "preact-iso";
import type { QueuesAnswer, QueueView } from "../../../../src/admin/contract/group-views.ts";
import { PauseButton } from "../../actions/pause-button.tsx";
import { address } from "../../api/api.ts";
import { dataOf } from "../../api/view-state.ts";
import { inPath, usePage, useAnswer } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { copyText } from "../../parts/copy.tsx";
import { Bound, Since } from "../../parts/figures.tsx";
import { Icon, StateMark } from "../../parts/icons.tsx";
import { NameLink } from "../../parts/links.tsx";
import { Table } from "../../parts/table.tsx";
import { ViewHead } from "../../parts/view-head.tsx";
import { LimitMarks } from "./limit-facts.tsx";

const FLAGS = [
  { name: "hasJobs", title: "with jobs" },
  { name: "isLocked", title: "locked" },
  { name: "isPaused", title: "paused" },
] as const;

/** The named queues, with who holds them, or what their rules leave to them. */
export function Queues() {
  const page = usePage();
  const { query, route } = useLocation();
  const { search, after } = query;
  const conditions = Object.fromEntries(FLAGS.map(({ name }) => [name, query[name]]));
  const path = address("queues", { search, ...conditions, after, limit: 50 });
  const state = useAnswer<QueuesAnswer>(path, { isLive: after === undefined });
  const go = (changes: Readonly<Record<string, string | undefined>>): void =>
    route(page.href("queues", { search, ...conditions, ...changes }));
  const isFiltered = search !== undefined || FLAGS.some(({ name }) => query[name] !== undefined);
  return (
    <div class="view queues">
      <ViewHead title="Queues" help="queue" asOf={dataOf(state)?.asOf} />
      <div class="filter-bar">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const given = new FormData(event.currentTarget).get("search");
            go({ search: typeof given === "string" && given !== "" ? given : undefined });
          }}
        >
          <input
            name="search"
            type="search"
            aria-label="Part of the name"
            placeholder="Part of the name"
            value={search ?? ""}
          />
        </form>
        {FLAGS.map(({ name, title }) => (
          <button
            key={name}
            type="button"
            aria-pressed={query[name] === "true"}
            onClick={() => go({ [name]: query[name] === "true" ? undefined : "true" })}
          >
            {title}
          </button>
        ))}
      </div>
      <Async state={state} path={path} rows={12}>
        {(answer) => (
          <>
            <QueueTable queues={answer.queues} path={path} empty={emptyWords(isFiltered, answer.next !== null)} />
            <nav class="pages" aria-label="Pages">
              {after !== undefined && (
                <button type="button" onClick={() => go({})}>
                  First page
                </button>
              )}
              {answer.next !== null && (
                <button type="button" onClick={() => go({ after: answer.next ?? undefined })}>
                  {answer.queues.length === 0 ? "Search on" : "Next"}
                </button>
              )}
            </nav>
          </>
        )}
      </Async>
    </div>
  );
}

function emptyWords(isFiltered: boolean, isMore: boolean): string {
  if (isMore) return "Nothing yet among the queues that were searched.";
  return isFiltered ? "No queue passes this filter." : "There is no named queue. Jobs without a queue need none.";
}

function QueueTable({ queues, path, empty }: { queues: readonly QueueView[]; path: string; empty: string }) {
  const page = usePage();
  return (
    <Table
      label="Queues"
      rows={queues}
      keyOf={({ name }) => name}
      href={({ name }) => page.href(`queues/${inPath(name)}`)}
      onCommand={(command, queue) => {
        if (command !== "copy-id" || !queue) return false;
        void copyText(queue.name).then((said) => page.say(said));
        return true;
      }}
      columns={[
        { key: "name", title: "Queue", render: ({ name }) => name },
        { key: "lock", title: "Lock or limits", render: (queue) => <Holder queue={queue} /> },
        {
          key: "jobs",
          title: "Jobs",
          isFigure: true,
          narrow: "end",
          render: ({ jobCount }) => <Bound of={jobCount} />,
        },
        {
          key: "ready",
          title: "Ready",
          isFigure: true,
          narrow: "none",
          render: ({ readyCount }) => <Bound of={readyCount} />,
        },
        ...(page.canOperate.value
          ? [
              {
                key: "pause",
                title: "Actions",
                isTitleAloud: true,
                isFigure: true,
                narrow: "none" as const,
                render: ({ name, isPaused, pausedUntil }: QueueView) => (
                  <PauseButton of="queues" name={name} isPaused={isPaused} pausedUntil={pausedUntil} reloads={[path]} />
                ),
              },
            ]
          : []),
      ]}
      empty={<p class="empty">{empty}</p>}
    />
  );
}

function Holder({ queue: { lockedBy, lockedAt, isPaused, limits } }: { readonly queue: QueueView }) {
  return (
    <>
      {isPaused && <StateMark state="paused" />} {limits !== null && <LimitMarks limits={limits} />}{" "}
      {lockedBy === null ? (
        !isPaused && limits === null && <span class="none">free</span>
      ) : (
        <span class="holder">
          <Icon name="lock" /> <NameLink of="workers" name={lockedBy} /> {lockedAt !== null && <Since at={lockedAt} />}
        </span>
      )}
    </>
  );
}
