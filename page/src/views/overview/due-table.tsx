import type { DueView } from "../../../../src/admin/contract/overview-views.ts";
import { exactNumber } from "../../format/numbers.ts";
import { inPath, usePage } from "../../page.ts";
import { Amount, Length } from "../../parts/figures.tsx";
import { type Column, Table } from "../../parts/table.tsx";

interface DueTableProps {
  readonly of: "tasks" | "queues";
  readonly rows: readonly DueView[];
  /** Whether workers have sampled yet: before that, nothing is known. */
  readonly isSampled: boolean;
  /** How many more are due now than at the moment that is shown; undefined for now. */
  readonly since: ReadonlyMap<string, number> | undefined;
}

/** The ten tasks or queues whose oldest due jobs have waited the longest. */
export function DueTable({ of, rows, isSampled, since }: DueTableProps) {
  const page = usePage();
  const columns: Column<DueView>[] = [
    { key: "name", title: of === "tasks" ? "Task" : "Queue", render: ({ name }) => name },
    {
      key: "oldest",
      title: "Oldest due",
      isFigure: true,
      narrow: "end",
      render: ({ oldestMs }) => <Length ms={oldestMs} />,
    },
    { key: "due", title: "Due", isFigure: true, render: ({ jobCount }) => <Amount of={jobCount} /> },
  ];
  if (since)
    columns.push({
      key: "since",
      title: "Until now",
      isFigure: true,
      render: ({ name }) => signed(since.get(name) ?? 0),
    });
  return (
    <section aria-label={`Worst ${of}`}>
      <h2>Worst {of}</h2>
      <Table
        label={`Worst ${of}, by the age of the oldest due job`}
        columns={columns}
        rows={rows}
        keyOf={({ name }) => name}
        href={({ name }) => page.href(`${of}/${inPath(name)}`)}
        empty={
          <p class="empty">
            {isSampled
              ? `No job was due${of === "queues" ? " in a queue" : ""}.`
              : "Workers have not sampled yet: they do every ten seconds."}
          </p>
        }
      />
    </section>
  );
}

function signed(change: number): string {
  return change > 0 ? `+${exactNumber(change)}` : exactNumber(change);
}
