import { quoteLiteral, type Schema } from "../../schema.ts";
import type { RoleKind } from "./database-facts.ts";

/**
 * The expression, as JSON by kind of role, of the statements that grant what the
 * current role lacks: those of `docs/guides/roles.sql`, which a test compares.
 */
export function lackingRights(schema: Schema): string {
  const kinds = Object.entries(ROLE_RIGHTS).map(
    ([kind, rights]) => `'${kind}', (
      select json_agg(right_of.grant || ' to ' || quote_ident(current_user)) from (values
        ${[usageOf(schema), ...rights.flatMap((right) => checksOf(schema, right))].join(",\n        ")}
      ) as right_of("grant", there) where not right_of.there
    )`,
  );
  return `json_build_object(${kinds.join(", ")})`;
}

/** A right on a table, on some of its columns, or to execute a function. */
export type RoleRight =
  | { readonly to: readonly TableRight[]; readonly on: readonly string[]; readonly columns?: readonly string[] }
  | { readonly to: "execute"; readonly on: readonly string[] };

type TableRight = "select" | "insert" | "update" | "delete";

const READS: RoleRight = {
  to: ["select"],
  on: [
    "_howdah_migrations",
    "migrations",
    "jobs",
    "_private_jobs",
    "_private_job_queues",
    "_private_tasks",
    "_private_workers",
    "_howdah_paused_tasks",
    "_howdah_rules",
    "_howdah_rules_state",
    "_howdah_pools",
    "_howdah_lanes",
    "_howdah_buckets",
    "_howdah_progress",
    "_howdah_job_logs",
    "_howdah_history",
    "_howdah_attempts",
    "_howdah_samples",
    "_howdah_task_samples",
  ],
};

const ADDS: readonly RoleRight[] = [
  { to: ["insert"], on: ["_private_tasks"], columns: ["id", "identifier"] },
  { to: ["insert"], on: ["_private_job_queues"], columns: ["id", "queue_name"] },
  {
    to: ["insert"],
    on: ["_private_jobs"],
    columns: [
      "task_id",
      "job_queue_id",
      "payload",
      "priority",
      "run_at",
      "max_attempts",
      "flags",
      "_howdah_timeout_ms",
    ],
  },
  {
    to: "execute",
    on: [
      "_howdah_add_keyed_jobs_v1",
      "_howdah_touch_keyed_job_v1",
      "_howdah_add_unique_jobs_v1",
      "_howdah_add_queues_v1",
      "_howdah_mark_awaited_v1",
    ],
  },
];

const RUNS: readonly RoleRight[] = [
  {
    to: ["update"],
    on: ["_private_tasks"],
    columns: ["_howdah_keep", "_howdah_keep_payload", "_howdah_keep_result", "_howdah_dead_letter"],
  },
  { to: ["insert", "update", "delete"], on: ["_howdah_history", "_howdah_attempts"] },
  { to: "execute", on: ["_howdah_tend_history_v1"] },
  {
    to: ["update"],
    on: ["_private_job_queues"],
    columns: [
      "locked_at",
      "locked_by",
      "_howdah_paused_until",
      "_howdah_parked_until",
      "_howdah_width",
      "_howdah_share",
      "_howdah_pool_id",
      "_howdah_rules_revision",
    ],
  },
  { to: ["insert", "update", "delete"], on: ["_howdah_rules", "_howdah_pools", "_howdah_lanes", "_howdah_buckets"] },
  { to: ["update"], on: ["_howdah_rules_state"] },
  { to: ["insert", "update", "delete"], on: ["_private_jobs"] },
  { to: ["insert", "update", "delete"], on: ["_private_workers"] },
  { to: ["select", "update"], on: ["_howdah_sweeper", "_howdah_notes_sweep"] },
  { to: ["select", "insert", "update"], on: ["_private_known_crontabs"] },
  {
    to: ["select", "insert", "update", "delete"],
    on: [
      "_howdah_audit",
      "_howdah_job_logs",
      "_howdah_progress",
      "_howdah_paused_tasks",
      "_howdah_operations",
      "_howdah_recent",
      "_howdah_samples",
      "_howdah_task_samples",
      "_howdah_schedules",
    ],
  },
];

/** What each kind of role needs. */
export const ROLE_RIGHTS: { readonly [Kind in RoleKind]: readonly RoleRight[] } = {
  reader: [READS],
  producer: [READS, ...ADDS],
  worker: [READS, ...ADDS, ...RUNS],
};

function usageOf({ quoted, literal }: Schema): string {
  return `(${quoteLiteral(`grant usage on schema ${quoted}`)}, has_schema_privilege(${literal}, 'usage'))`;
}

/** A row for each object, with the statement up to the role, and whether the role has the right. */
function checksOf(schema: Schema, right: RoleRight): string[] {
  return right.on.map((object) => {
    const name = schema.of(object);
    if (right.to === "execute") {
      const found = `select bool_and(has_function_privilege(oid, 'execute')) from pg_proc
          where proname = ${quoteLiteral(object)} and pronamespace = (select oid from pg_namespace where nspname = ${schema.literal})`;
      return `(${quoteLiteral(`grant execute on function ${name}`)}, coalesce((${found}), true))`;
    }
    const table = quoteLiteral(name);
    const { to, columns } = right;
    const list = columns ? ` (${columns.join(", ")})` : "";
    const granted = to.map((each) => `${each}${list}`).join(", ");
    const has = to.flatMap((each) =>
      columns
        ? columns.map((column) => `has_column_privilege(${table}, '${column}', '${each}')`)
        : `has_table_privilege(${table}, '${each}')`,
    );
    return `(${quoteLiteral(`grant ${granted} on ${name}`)}, ${has.join(" and ")})`;
  });
}
