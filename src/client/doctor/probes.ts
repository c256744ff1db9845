import { randomUUID } from "node:crypto";
import { toStoredSchedule, upcomingTicks } from "../../cron/stored-schedule.ts";
import { HowdahError } from "../../errors.ts";
import type { Driver, Executor } from "../../postgres/driver.ts";
import { findDamage } from "../../postgres/schema-damage.ts";
import { migrations } from "../../postgres/migrations.generated.ts";
import { askDoctor, type DoctorFacts } from "../../postgres/queries/doctor/ask-doctor.ts";
import type { OldestJob } from "../../postgres/queries/doctor/queue-facts.ts";
import { listSchedules } from "../../postgres/queries/schedules.ts";
import { readObjects } from "../../postgres/read-objects.ts";
import { functionDetail, objectsOf } from "../../postgres/schema-objects.ts";
import { readSchemaState, type SchemaLayout } from "../../postgres/schema-revision.ts";
import type { Schema } from "../../postgres/schema.ts";
import { sqlStateOf } from "../../postgres/sqlstate.ts";
import type { Clock } from "../../runtime/clock.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import { OperatorReads } from "../operator-reads.ts";
import { explainJob } from "../why/explain-job.ts";
import type { JobReason } from "../why/reason.ts";

/** The probes of the doctor: what it finds out in more than one statement, or of the way to the database. */
export const PROBES: { readonly [P in keyof ProbeFacts]: (target: ProbeTarget) => Promise<ProbeFacts[P]> } = {
  async oldestJobs(target) {
    const { plain, queued }: DoctorFacts["oldestDue"] = await askDoctor(target, "oldestDue");
    return { plain: await explained(target, plain), queued: await explained(target, queued) };
  },

  async schedules({ driver, schema, clock }) {
    const nowMs = clock.now();
    const records = await listSchedules({ executor: new OperatorReads(driver), schema });
    const late = records.map(toStoredSchedule).flatMap((stored) => {
      const { id, lastTick, sinceMs, isPaused, isTaskKnown } = stored;
      const [missedAt, next] = isPaused ? [] : upcomingTicks(stored, lastTick?.getTime() ?? sinceMs, 2);
      return missedAt && next && next.getTime() < nowMs - GRACE_MS ? [{ id, missedAt, isTaskKnown }] : [];
    });
    return { late };
  },

  async schema({ driver, schema }) {
    const executor = new OperatorReads(driver);
    const state = await readSchemaState(executor, schema);
    const latest = migrations.at(-1)?.id ?? 0;
    const { revision, layout } = state;
    if (revision > latest) return { revision, latest, layout, isNewer: true, different: [], replaced: [] };
    const damage = await findDamage(executor, schema, { state, migrations });
    const different = damage
      ? [...damage.beyondRepair, ...damage.functions, ...damage.unnoted.map(({ id }) => `the note of migration ${id}`)]
      : [];
    return { revision, latest, layout, isNewer: false, different, replaced: await replacedFunctions(executor, schema) };
  },

  async sessions({ driver }) {
    const { inProcess, listen } = driver.capabilities ?? {};
    if (inProcess) return { kept: "in-process" };
    if (listen === false) return { kept: "unknown" };
    const listener = await openListener(driver).catch(() => undefined);
    if (!listener) return { kept: "unknown" };
    try {
      return { kept: (await isPooled(driver, listener.session)) ? "pooled" : "kept" };
    } finally {
      await listener.close();
    }
  },

  async delivery({ driver, clock }) {
    if (driver.capabilities?.listen === false) return { canListen: false, arrivedMs: null };
    const listener = await openListener(driver).catch(errorMessage);
    if (typeof listener === "string") return { canListen: true, arrivedMs: null, problem: listener };
    const { channel, arrived } = listener;
    try {
      const sentAt = clock.monotonic();
      await driver.query({ text: "select pg_catalog.pg_notify($1, '')", values: [channel] });
      await clock.sleep(DELIVERY_MS, arrived);
      return { canListen: true, arrivedMs: arrived.aborted ? clock.monotonic() - sentAt : null };
    } finally {
      await listener.close();
    }
  },

  async roundTrip({ driver, clock }) {
    const times: number[] = [];
    for (let trip = 0; trip < TRIPS; trip += 1) {
      const begunAt = clock.monotonic();
      await driver.query({ text: "select 1" });
      times.push(clock.monotonic() - begunAt);
    }
    times.sort((a, b) => a - b);
    return { medianMs: times[TRIPS / 2] ?? 0, worstMs: times.at(-1) ?? 0 };
  },
};

/** What probes find. */
export interface ProbeFacts {
  readonly oldestJobs: { readonly plain: ExplainedJob | null; readonly queued: ExplainedJob | null };
  readonly schedules: { readonly late: readonly LateSchedule[] };
  readonly schema: SchemaFacts;
  readonly sessions: { readonly kept: SessionsKept };
  readonly delivery: DeliveryFacts;
  readonly roundTrip: { readonly medianMs: number; readonly worstMs: number };
}

/** Whether a session keeps its backend; `unknown` without a session that listens. */
export type SessionsKept = "kept" | "pooled" | "in-process" | "unknown";

/** What became of a notification to ourselves. */
export interface DeliveryFacts {
  readonly canListen: boolean;
  /** Null when it did not arrive in time. */
  readonly arrivedMs: number | null;
  /** Why it was not sent: there is no session that listens. */
  readonly problem?: string | undefined;
}

/** The job that has waited the longest, and what is in its way. */
export interface ExplainedJob extends OldestJob {
  /** What counts first; `undefined` when this role may not see it, or the job runs by now. */
  readonly reason: JobReason | undefined;
}

/** A stored schedule two of whose ticks have passed since its last one. */
export interface LateSchedule {
  readonly id: string;
  readonly missedAt: Date;
  readonly isTaskKnown: boolean;
}

/** What is in the schema, against what this release makes. */
export interface SchemaFacts {
  readonly revision: number;
  /** The revision of this release. */
  readonly latest: number;
  /** Whose tables they are. */
  readonly layout: SchemaLayout;
  /** Whether it is newer than this release, which then does not know what it is to be like. */
  readonly isNewer: boolean;
  /** Objects that are missing or different, without those that any implementation may replace. */
  readonly different: readonly string[];
  /** The functions of the shared interface whose source is not Howdah's. */
  readonly replaced: readonly string[];
}

/** Where probes look. */
export interface ProbeTarget {
  readonly driver: Driver;
  readonly schema: Schema;
  readonly clock: Clock;
}

/** A tick that has just become due is added in a moment. */
const GRACE_MS = 60_000;

/** How long a notification may take that is worth waiting for. */
const DELIVERY_MS = 1_000;

const TRIPS = 20;

interface Listener {
  /** One of its own, on which no other session sends. */
  readonly channel: string;
  readonly session: Executor;
  /** Aborted when a notification arrives. */
  readonly arrived: AbortSignal;
  close(): Promise<void>;
}

/** Listens as a worker does. */
async function openListener(driver: Driver): Promise<Listener> {
  const channel = `howdah:doctor:${randomUUID()}`;
  const arrived = new AbortController();
  const sessions: Executor[] = [];
  const listening = await driver.listen([channel], {
    notified: () => arrived.abort(),
    up: (session) => void sessions.push(session),
    down: () => undefined,
  });
  const [session] = sessions;
  if (!session) throw new HowdahError("HOWDAH_CONNECTION_LOST", "The session that listens was closed.");
  return { channel, session, arrived: arrived.signal, close: () => listening.close() };
}

/**
 * Whether statements of one session reach several backends, or one backend serves
 * two sessions at once: a pooler hands out the backend that a transaction has
 * just taken to no other session.
 */
async function isPooled(driver: Driver, session: Executor): Promise<boolean> {
  const before = await pidOf(session);
  return driver.transaction(async (transaction) => {
    const other = await pidOf(transaction);
    return other === before || (await pidOf(session)) !== before;
  });
}

async function pidOf(executor: Executor): Promise<string | null | undefined> {
  return (await executor.query({ text: "select pg_catalog.pg_backend_pid()" })).rows[0]?.[0];
}

async function explained(target: ProbeTarget, job: OldestJob | null): Promise<ExplainedJob | null> {
  if (!job) return null;
  const { schema, driver } = target;
  try {
    const { reasons } = await explainJob({ executor: new OperatorReads(driver), schema }, job.id);
    return { ...job, reason: reasons[0] };
  } catch (error) {
    // The answer to another question is there; what this role may not see, or not in time, is left out.
    if (sqlStateOf(error) === undefined) throw error;
    return { ...job, reason: undefined };
  }
}

/** The functions that any implementation of the interface may replace, and one has, or an operator. */
async function replacedFunctions(executor: Executor, schema: Schema): Promise<string[]> {
  const wanted = objectsOf(migrations);
  const found = await readObjects(executor, schema, wanted);
  return [...wanted.functions].flatMap(([key, made]) => {
    const detail = found.get(key);
    const isShared = !key.startsWith("function _howdah_");
    return isShared && detail !== undefined && detail !== functionDetail(made, schema) ? [key] : [];
  });
}
