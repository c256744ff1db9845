import type { JobRow } from "../../../../src/admin/contract/job-views.ts";
import { usePage } from "../../page.ts";
import { copyText } from "../../parts/copy.tsx";
import { Table } from "../../parts/table.tsx";
import { columnsOf } from "./job-columns.tsx";

interface JobTableProps {
  readonly label: string;
  readonly jobs: readonly JobRow[];
  /** As an address names them. */
  readonly columns: string;
  readonly empty: string;
}

/** Jobs that belong to something else. Retry and cancel work on the row with the focus. */
export function JobTable({ label, jobs, columns, empty }: JobTableProps) {
  const page = usePage();
  return (
    <Table
      label={label}
      columns={columnsOf(columns)}
      rows={jobs}
      keyOf={({ id }) => id}
      href={({ id }) => page.href(`jobs/${id}`)}
      onCommand={(command, job) => {
        if (!job) return false;
        if (command === "copy-id") {
          void copyText(job.id).then((said) => page.say(said));
          return true;
        }
        if ((command !== "retry" && command !== "cancel") || !page.canOperate.value) return false;
        page.order.value = { action: command, ids: [job.id], words: `job ${job.id} of task ${job.task}` };
        return true;
      }}
      empty={<p class="empty">{empty}</p>}
    />
  );
}
