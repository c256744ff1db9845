import type { ComponentChildren } from "preact";
import type { ActivityView } from "../../../src/admin/contract/overview-views.ts";
import { exactNumber, plural } from "../format/numbers.ts";
import { usePage } from "../page.ts";
import { Moment } from "../parts/figures.tsx";
import { Table } from "../parts/table.tsx";

interface ActivityTableProps {
  readonly activity: readonly ActivityView[];
  readonly empty: ComponentChildren;
}

/** Who did what to what, and what came of it. */
export function ActivityTable({ activity, empty }: ActivityTableProps) {
  const page = usePage();
  return (
    <Table
      label="What people did"
      rows={activity}
      keyOf={({ id }) => id}
      lookOf={({ outcome }) => (isRefused(outcome) ? "alarming" : undefined)}
      columns={[
        { key: "at", title: "When", narrow: "end", render: ({ at }) => <Moment at={at} /> },
        { key: "who", title: "Who", narrow: "top", render: ({ who }) => <b>{who}</b> },
        { key: "what", title: "What", render: ({ action }) => action.replace(".", ": ") },
        { key: "target", title: "To what", render: ({ target }) => <span class="mono">{targetInWords(target)}</span> },
        {
          key: "count",
          title: "Jobs",
          isFigure: true,
          narrow: "none",
          render: ({ count }) => (count === null ? "-" : exactNumber(count)),
        },
        {
          key: "outcome",
          title: "Outcome",
          render: ({ outcome, operationId }) =>
            operationId === null ? (
              <span class={isRefused(outcome) ? "bad" : undefined}>{outcome}</span>
            ) : (
              <a href={page.href(`operations/${operationId}`)}>operation {operationId}</a>
            ),
        },
      ]}
      empty={empty}
    />
  );
}

/** `retry, state failed, task send_email`; `3 ids: 41, 42, 43`. */
export function targetInWords(target: Readonly<Record<string, unknown>>): string {
  return Object.entries(target)
    .map(([name, value]) => valueInWords(name, value))
    .filter((words) => words !== "")
    .join(", ");
}

function valueInWords(name: string, value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) {
    const shown = value.slice(0, 5).map(String).join(" ");
    return `${plural(value.length, name.replace(/s$/, ""))} ${shown}${value.length > 5 ? " …" : ""}`;
  }
  if (typeof value === "object") return targetInWords(value as Readonly<Record<string, unknown>>);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return name === "action" ? text : `${name} ${text}`;
}

function isRefused(outcome: string): boolean {
  return outcome !== "done" && outcome !== "begun";
}
