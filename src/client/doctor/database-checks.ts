import type { RoleKind } from "../../postgres/queries/doctor/database-facts.ts";
import { formatCount } from "../views/amounts.ts";
import { age, type Checks, percent, when, worst } from "./check.ts";

/** The checks of the server, its sessions and the tables. */
export const DATABASE_CHECKS = {
  server: {
    id: "server",
    question: "server",
    title: "the server and its settings",
    means:
      "A standby takes no writes; without autovacuum or track_counts dead rows are never removed, and claims get slow.",
    todo: "Connect to the primary; switch autovacuum and track_counts on.",
    guide: "guides/operations.md",
    judge: ({ version, isStandby, autovacuum, trackCounts, synchronousCommit }) =>
      worst(
        [
          when(isStandby, "fail", () => "This is a standby, which takes no writes."),
          when(!autovacuum || !trackCounts, "fail", () => `${autovacuum ? "track_counts" : "autovacuum"} is off.`),
          when(version < 140_000, "fail", () => `PostgreSQL ${version} is older than 14.`),
          when(synchronousCommit === "off", "note", () => "synchronous_commit is off: a crash loses the last commits."),
        ],
        `PostgreSQL ${Math.floor(version / 10_000)}, a primary with autovacuum.`,
      ),
  },
  clock: {
    id: "clock",
    question: "clock",
    title: "the clocks of this process and of the database",
    means: "Ticks of schedules, and run times that an application computes, are off by the difference.",
    todo: "Let NTP set both clocks.",
    guide: "guides/time-zones.md",
    judge({ databaseMs }, { askedMs, answeredMs, limits }) {
      const seconds = Math.max(0, askedMs - databaseMs, databaseMs - answeredMs) / 1_000;
      const say = (): string => `The clocks differ by ${age(seconds)}.`;
      return worst(
        [when(seconds > limits.skewWarnSeconds, "warn", say), when(seconds > limits.skewNoteSeconds, "note", say)],
        "The clocks agree.",
      );
    },
  },
  rights: {
    id: "rights",
    question: "rights",
    title: "the rights of this role",
    means: "What it may not do rejects with HOWDAH_DATABASE_FORBIDDEN.",
    todo: "Grant what is missing as the owner of the schema; docs/guides/roles.sql has all of it, also after an upgrade.",
    guide: "guides/database-roles.md",
    judge({ role, mayInsertJobs, mayUpdateJobs, lacking }) {
      const kind = mayUpdateJobs ? "worker" : mayInsertJobs ? "producer" : "reader";
      const grants = lacking[kind] ?? [];
      const [first] = grants;
      const more = grants.length > 1 ? `; ${grants.length - 1} more` : "";
      const say = (): string => `${role} ${MAY[kind]}, and lacks: ${first}${more}.`;
      return worst([when(first !== undefined, "fail", say)], `${role} ${MAY[kind]}, and has all rights for that.`);
    },
  },
  connections: {
    id: "connections",
    question: "connections",
    title: "connections in use",
    means: "When they run out, workers and clients wait, and are refused.",
    todo: "Lower maxConnections, use a pooler, or raise max_connections.",
    guide: "guides/connecting.md",
    judge: ({ used, most, idleInTransaction }, { limits }) =>
      worst(
        [when(used / most > limits.connectionsWarn, "warn", () => `${used} of ${most} connections are in use.`)],
        `${used} of ${most} connections are in use${idleInTransaction === null ? "" : `, ${idleInTransaction} idle in a transaction`}.`,
      ),
  },
  snapshots: {
    id: "open-transactions",
    question: "snapshots",
    title: "transactions that hold back vacuum",
    means: "Dead rows stay as long as an old transaction is open, and claims walk over them.",
    todo: "End the session with select pg_terminate_backend(pid), and find out what leaves it open.",
    guide: "guides/operations.md",
    judge({ seesAll, sessions }, { limits }) {
      const [oldest] = sessions ?? [];
      const seconds = oldest?.openSeconds ?? 0;
      const say = (): string =>
        `pid ${oldest?.pid} (${oldest?.application || oldest?.user || "no name"}, ${oldest?.state ?? "state unknown"}) has been in a transaction for ${age(seconds)}.`;
      return worst(
        [when(seconds > limits.openFailSeconds, "fail", say), when(seconds > limits.openWarnSeconds, "warn", say)],
        "No transaction is open for long.",
        seesAll,
      );
    },
  },
  xminHolders: {
    id: "held-back",
    question: "xminHolders",
    title: "slots, prepared transactions and standbys that hold back vacuum",
    means: "The same as an old transaction, and no session shows it.",
    todo: "Drop the slot, finish the prepared transaction, or see to the standby.",
    guide: "guides/operations.md",
    judge({ seesAll, holders }, { limits }) {
      const list = holders ?? [];
      const abandoned = list.find(({ kind, isActive }) => kind === "slot" && !isActive);
      const old = list.find((holder) => holder.age > limits.heldBackWarn);
      return worst(
        [
          when(abandoned !== undefined, "fail", () => `The replication slot ${abandoned?.name} has no reader.`),
          when(
            old !== undefined,
            "warn",
            () => `${old?.kind} ${old?.name} holds back ${formatCount(old?.age ?? 0, "transaction")}.`,
          ),
        ],
        "Nothing of this kind holds back vacuum.",
        seesAll,
      );
    },
  },
  vacuum: {
    id: "dead-rows",
    question: "vacuum",
    title: "dead rows and updates in place",
    means: "Claims read dead rows, and an update that is not in place writes every index.",
    todo: "See open-transactions, held-back, indexes and table-options; then vacuum the table.",
    guide: "guides/operations.md",
    judge({ tables, isShared }, { limits }) {
      const list = tables ?? [];
      const dead = list.find((table) => table.dead > limits.deadWarn && table.dead > table.live);
      const judged = list.filter(({ updates }) => updates > limits.updatesJudged);
      const cold = isShared
        ? undefined
        : judged.find(({ updates, hotUpdates }) => hotUpdates / updates < limits.hotWarn);
      const never = judged.find(({ wasVacuumed }) => !wasVacuumed);
      return worst(
        [
          when(
            dead !== undefined,
            "warn",
            () =>
              `${dead?.name} has ${formatCount(dead?.dead ?? 0, "dead row")} and ${formatCount(dead?.live ?? 0)} living ones.`,
          ),
          when(
            cold !== undefined,
            "warn",
            () =>
              `Only ${percent((cold?.hotUpdates ?? 0) / (cold?.updates ?? 1))} of the updates of ${cold?.name} are in place.`,
          ),
          when(never !== undefined, "warn", () => `${never?.name} was never vacuumed.`),
        ],
        "Dead rows are removed.",
      );
    },
  },
  tableOptions: {
    id: "table-options",
    question: "tableOptions",
    title: "the storage options of the tables",
    means: "Pages have no room for claimed rows, and vacuum comes late.",
    todo: "Set them again: alter table ... set (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.01, ...), as the migrations do.",
    guide: "guides/operations.md",
    judge({ tables, isShared }) {
      const lacking = (tables ?? []).flatMap(({ name, options }) =>
        TABLE_OPTIONS.filter((option) => !options?.some((set) => set.startsWith(`${option}=`))).map(
          (option) => `${name}: ${option}`,
        ),
      );
      return worst(
        [when(!isShared && lacking.length > 0, "warn", () => `Not set: ${lacking.join(", ")}.`)],
        isShared
          ? "The layout is shared with graphile-worker, whose tables have none."
          : "They are as migrations set them.",
      );
    },
  },
  indexes: {
    id: "indexes",
    question: "indexes",
    title: "the indexes of the jobs",
    means:
      "An index with a column that claims write makes each claim write every index; an invalid one serves no query.",
    todo: "Drop the foreign index, or leave out the column; reindex what is invalid.",
    guide: "decisions/hot-claims.md",
    judge({ indexes: found }) {
      const indexes = found ?? [];
      const cold = indexes.filter(({ endsHot }) => endsHot).map(({ name }) => name);
      const invalid = indexes.filter(({ isValid }) => !isValid).map(({ name }) => name);
      const foreign = indexes.filter(({ isOurs }) => !isOurs).map(({ name }) => name);
      return worst(
        [
          when(
            cold.length > 0,
            "fail",
            () => `${cold.join(", ")}: claims write the columns of it, and so every index.`,
          ),
          when(invalid.length > 0, "fail", () => `${invalid.join(", ")}: not valid.`),
          when(
            foreign.length > 0,
            "note",
            () => `${foreign.join(", ")}: not Howdah's; each add and completion writes it.`,
          ),
        ],
        "They are those of the migrations, and valid.",
      );
    },
  },
  attachments: {
    id: "attachments",
    question: "attachments",
    title: "triggers, policies, foreign keys and publications of the jobs",
    means: "Each costs every job something, and a policy may hide rows from workers.",
    todo: "Remove what is not needed; give the roles of workers a policy that shows them all rows.",
    guide: "guides/operations.md",
    judge({ triggers, hasRowSecurity, hasPolicies, isOwner, foreignKeys, publications }) {
      const named = [...(triggers ?? []), ...(foreignKeys ?? []), ...(publications ?? [])];
      return worst(
        [
          when(
            hasRowSecurity && !hasPolicies && !isOwner,
            "fail",
            () => "Row security is on and there is no policy: this role sees no jobs.",
          ),
          when(hasRowSecurity, "note", () => "Row security is on."),
          when(named.length > 0, "note", () => `There are ${named.join(", ")}.`),
        ],
        "There are none.",
      );
    },
  },
  notifications: {
    id: "notifications",
    question: "notifications",
    title: "the notification queue of the server",
    means: "When it is full, every transaction that notifies fails, adds among them.",
    todo: "Find the session that listens and stays in a transaction, and end it: see open-transactions.",
    guide: "guides/operations.md",
    judge({ share }, { limits }) {
      const say = (): string => `${percent(share)} of it is filled.`;
      return worst(
        [when(share > limits.notificationsFail, "fail", say), when(share > limits.notificationsWarn, "warn", say)],
        say(),
      );
    },
  },
  lockWaits: {
    id: "lock-waits",
    question: "lockWaits",
    title: "sessions that wait for a lock on the tables",
    means: "Claims and releases stand behind it.",
    todo: "End the session that blocks, or the statement: select pg_cancel_backend(pid).",
    guide: "guides/operations.md",
    judge({ seesAll, waits }, { limits }) {
      const [longest] = waits ?? [];
      return worst(
        [
          when(
            (longest?.seconds ?? 0) > limits.lockWaitWarnSeconds,
            "warn",
            () =>
              `pid ${longest?.pid} has waited for ${longest?.mode} on ${longest?.table} for ${age(longest?.seconds ?? 0)}, behind pid ${longest?.blockedBy.join(", ")}.`,
          ),
        ],
        "None waits for long.",
        seesAll,
      );
    },
  },
  wraparound: {
    id: "wraparound",
    question: "wraparound",
    title: "the age of transaction ids",
    means: "Vacuum runs against wrap-around, at any hour; at two billion the server takes no writes.",
    todo: "See what holds back vacuum, and vacuum the database.",
    guide: "guides/operations.md",
    judge(facts, { limits }) {
      const share = facts.age / facts.freezeAge;
      const say = (): string =>
        `The oldest is ${formatCount(facts.age, "transaction")} old, ${percent(share)} of autovacuum_freeze_max_age.`;
      return worst([when(share > limits.freezeWarn, "warn", say), when(share > limits.freezeNote, "note", say)], say());
    },
  },
  sequences: {
    id: "sequences",
    question: "sequences",
    title: "numbers that are left for tasks, queues and jobs",
    means: "When they run out, nothing can be added. Each add of a new queue name takes a number for good.",
    todo: "Use fewer queue names.",
    guide: "guides/queues-and-concurrency.md",
    judge({ sequences }, { limits }) {
      const list = sequences ?? [];
      const share = list[0]?.share ?? 0;
      const say = (): string => `${list[0]?.name} has used ${percent(share)} of its numbers.`;
      if (share > limits.sequenceWarn) return { status: "warn", finding: say() };
      const hidden = list.find((sequence) => sequence.share === null);
      if (list.length > 0 && hidden === undefined) return { status: "ok", finding: say() };
      const remedy = hidden === undefined ? "" : `: grant select on sequence ${hidden.name} to this role`;
      return { status: "unseen", finding: `Cannot see the sequences${remedy}.` };
    },
  },
  extensions: {
    id: "extensions",
    question: "extensions",
    title: "extensions that show what statements cost",
    means: "Without pg_stat_statements no operator sees which statements take the time of the server.",
    todo: "Add it to shared_preload_libraries, then create extension pg_stat_statements; pgstattuple measures dead space.",
    guide: "guides/operations.md",
    judge: ({ hasStatements, hasStatTuple }) =>
      worst(
        [when(!hasStatements, "note", () => "pg_stat_statements is not in this database.")],
        `pg_stat_statements is there, ${hasStatTuple ? "and pgstattuple" : "pgstattuple is not"}.`,
      ),
  },
} satisfies Checks;

/** What a role of each kind does, told by what it may do to jobs. */
const MAY: { readonly [Kind in RoleKind]: string } = {
  reader: "reads, and neither adds nor runs jobs",
  producer: "adds jobs and does not run them",
  worker: "runs jobs",
};

const TABLE_OPTIONS = [
  "fillfactor",
  "autovacuum_vacuum_scale_factor",
  "autovacuum_vacuum_threshold",
  "autovacuum_vacuum_cost_limit",
];
