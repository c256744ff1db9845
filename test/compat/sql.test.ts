import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/runtime/clock.ts";
import { createPlace, type Layout, type Place } from "./layouts.ts";

/*
 * The same statements on a schema that Howdah has installed and on one that graphile-worker has installed: what they
 * return, what they raise and what they leave behind must be the same. Rows have no ids here, because graphile-worker
 * uses up ids where Howdah does not.
 */

/** The schemas that Howdah works on. */
const OURS = ["owned", "shared"] as const satisfies readonly Layout[];

/** What one statement came to: its rows, or its SQLSTATE. */
type Outcome = readonly Record<string, unknown>[] | string;

/** What is the same whatever time it is: a time of today is a number of hours ago, other times are as they are. */
function normalize(value: unknown): unknown {
  if (!(value instanceof Date)) return value;
  const hours = (systemClock.now() - value.getTime()) / 3_600_000;
  return Math.abs(hours) < 24 ? `${Math.round(hours)} hours ago` : value.toISOString();
}

const SHARED = [
  "payload", "priority", "run_at", "attempts", "max_attempts", "last_error", "created_at", "updated_at", "key",
  "locked_at", "locked_by", "revision", "flags", "is_available",
] as const; // prettier-ignore

const JOBS = `select identifier, queue_name, ${SHARED.map((name) => `jobs.${name}${name === "payload" ? "::text" : ""}`).join(", ")}
  from howdah._private_jobs jobs join howdah._private_tasks tasks on tasks.id = task_id
  left join howdah._private_job_queues queues on queues.id = job_queue_id`;
const QUEUES = "select queue_name, locked_at, locked_by, is_available from howdah._private_job_queues order by 1";
const TASKS = "select identifier from howdah._private_tasks order by 1";

/** Columns of a job that are compared; a statement that returns jobs returns more of them on a schema of Howdah. */
function compared(row: Record<string, unknown>): Record<string, unknown> {
  const isJob = "max_attempts" in row && "task_id" in row;
  const names = isJob ? [...SHARED] : Object.keys(row);
  return Object.fromEntries(names.map((name) => [name, normalize(row[name])]));
}

async function ask(place: Place, statement: string): Promise<Outcome> {
  try {
    return (await place.sql(statement)).map(compared);
  } catch (error) {
    return String((error as { code?: string }).code);
  }
}

interface Told {
  readonly outcomes: readonly Outcome[];
  /** In no order: graphile-worker promises none for bulk adds. */
  readonly jobs: readonly string[];
  readonly queues: Outcome;
  readonly tasks: Outcome;
}

async function tell(place: Place, statements: readonly string[]): Promise<Told> {
  await place.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_tasks restart identity");
  const outcomes: Outcome[] = [];
  for (const statement of statements) outcomes.push(await ask(place, statement));
  const jobs = (await place.sql(JOBS)).map((row) => JSON.stringify(compared(row))).toSorted();
  return { outcomes, jobs, queues: await ask(place, QUEUES), tasks: await ask(place, TASKS) };
}

const add = (list: string): string => `select * from howdah.add_job(${list})`;
const addMany = (specs: string, more = ""): string =>
  `select * from howdah.add_jobs(array[${specs}]::howdah.job_spec[]${more}) order by payload::text`;
const KEYED =
  "'t', '{\"n\": 1}', queue_name => 'q', run_at => '2099-01-01Z', max_attempts => 5, job_key => 'k', priority => 3, flags => '{f}'";
const lock = (age = "1 minute", where = "true"): string =>
  `update howdah._private_jobs set locked_at = now() - interval '${age}', locked_by = 'w', attempts = 1 where ${where}`;
const lockQueues = (age = "1 minute"): string =>
  `update howdah._private_job_queues set locked_at = now() - interval '${age}', locked_by = 'w'`;
/** Long ago, so that what is changed shows. */
const AGE = "update howdah._private_jobs set created_at = '2020-01-01Z', updated_at = '2020-01-01Z'";
const FAIL = "update howdah._private_jobs set attempts = max_attempts, last_error = 'old'";
const ids = (where = "true"): string => `(select array_agg(id) from howdah._private_jobs where ${where})`;

const WAITING_RUNNING_STALE = [
  add("'t', '1', queue_name => 'a', job_key => 'waits'"),
  add("'t', '2', queue_name => 'b', job_key => 'runs'"),
  add("'t', '3', queue_name => 'c', job_key => 'stale'"),
  lock("1 hour", "key = 'runs'"),
  lock("5 hours", "key = 'stale'"),
  lockQueues("5 hours"),
  AGE,
];

const CASES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "3.1 add_job": {
    "fills in the defaults": [add("'t'")],
    "stores all that is given": [add(KEYED)],
    "takes its arguments by position": [add("'t', '1', 'q', '2099-01-01Z', 3, 'k', 2, '{f}', 'preserve_run_at'")],
    "takes null for every default": [add("'t', null, null, null, null, null, null, null, null")],
    "stores a payload as it is written": ['{ "b":1, "a" : 2,"b":3 }', "null", '"x"', "[1,  2]", "1.50"].map((json) =>
      add(`'t', '${json}'`),
    ),
    "refuses identifiers": [add("null"), add("''"), add("repeat('é', 128)"), add("repeat('x', 129)")],
    "refuses names of queues": ["''", "repeat('é', 128)", "repeat('x', 129)"].map((name) =>
      add(`'t', queue_name => ${name}`),
    ),
    "refuses keys": ["''", "repeat('é', 512)", "repeat('x', 513)"].map((key) => add(`'t', job_key => ${key}`)),
    "refuses numbers out of range": [
      "max_attempts => 0",
      "max_attempts => 32768",
      "max_attempts => 32767",
      "priority => -32769",
      "priority => -32768",
      "priority => 32767",
    ].map((given) => add(`'t', ${given}`)),
    "stores flags": ["'{}'", "null", "'{a,a,b}'", "array[null]::text[]"].map((flags) => add(`'t', flags => ${flags}`)),
    "refuses an unknown mode with a key only": [
      add("'t', job_key_mode => 'x'"),
      add("'t', job_key => 'k', job_key_mode => 'x'"),
      add("'t', job_key => 'k', job_key_mode => null"),
    ],
    "replaces what waits": [add(KEYED), AGE, add("'u', '{\"n\": 2}', job_key => 'k'")],
    "keeps the time of what has not started": [
      add(KEYED),
      AGE,
      add("'t', run_at => '2098-01-01Z', job_key => 'k', job_key_mode => 'preserve_run_at'"),
    ],
    "gives what has started the new time": [
      add(KEYED),
      "update howdah._private_jobs set attempts = 1, last_error = 'old'",
      AGE,
      add("'t', run_at => '2098-01-01Z', job_key => 'k', job_key_mode => 'preserve_run_at'"),
    ],
    "leaves alone with unsafe_dedupe": [add(KEYED), AGE, add("'t', job_key => 'k', job_key_mode => 'unsafe_dedupe'")],
    "adds with unsafe_dedupe when there is none": [add("'t', job_key => 'k', job_key_mode => 'unsafe_dedupe'")],
    "detaches what runs: replace": [add(KEYED), lock(), AGE, add("'t', job_key => 'k'")],
    "detaches what runs: preserve_run_at": [
      add(KEYED),
      lock("5 hours"),
      AGE,
      add("'t', job_key => 'k', job_key_mode => 'preserve_run_at'"),
    ],
    "detaches what runs: unsafe_dedupe": [
      add(KEYED),
      lock(),
      AGE,
      add("'t', job_key => 'k', job_key_mode => 'unsafe_dedupe'"),
    ],
    "replaces what failed for good: replace": [add(KEYED), FAIL, AGE, add("'t', job_key => 'k'")],
    "replaces what failed for good: preserve_run_at": [
      add(KEYED),
      FAIL,
      AGE,
      add("'t', job_key => 'k', job_key_mode => 'preserve_run_at'"),
    ],
    "replaces what failed for good: unsafe_dedupe": [
      add(KEYED),
      FAIL,
      AGE,
      add("'t', job_key => 'k', job_key_mode => 'unsafe_dedupe'"),
    ],
    "joins lists": [
      add("'t', '[1]', job_key => 'k'"),
      add("'t', '[ 2,{\"a\":3} ]', job_key => 'k'"),
      add("'t', '4', job_key => 'k'"),
    ],
  },
  "3.2 add_jobs": {
    "adds nothing": ["select * from howdah.add_jobs(null)", "select * from howdah.add_jobs('{}')"],
    "fills in the defaults": [addMany("row('t', null, null, null, null, null, null, null)")],
    "stores all that is given": [
      addMany("row('t', '1', 'q', '2099-01-01Z', 3, 'k', 2, '{f,g}'), row('u', '2', 'q', null, 4, null, -1, null)"),
    ],
    "refuses a spec without a task, and the same key twice": [
      addMany("row(null, null, null, null, null, null, null, null)"),
      addMany("null"),
      addMany("row('t', '1', null, null, null, 'k', null, null), row('t', '2', null, null, null, 'k', null, null)"),
    ],
    "replaces by key, or keeps the time": [
      add(KEYED),
      AGE,
      addMany("row('t', '2', null, '2098-01-01Z', null, 'k', null, null)", ", true"),
      addMany("row('t', '3', null, '2098-01-01Z', null, 'k', null, null)"),
    ],
    "detaches what runs and what failed for good": [
      add("'t', '1', job_key => 'runs'"),
      add("'t', '2', job_key => 'failed'"),
      lock("1 hour", "key = 'runs'"),
      `${FAIL} where key = 'failed'`,
      AGE,
      addMany(
        "row('t', '3', null, null, null, 'runs', null, null), row('t', '4', null, null, null, 'failed', null, null)",
      ),
    ],
    "takes what a client sends as JSON": [
      `select * from howdah.add_jobs(array(select json_populate_recordset(null::howdah.job_spec,
         '[{"identifier": "t", "payload": null, "max_attempts": 2, "unknown": 1}]'::json)))`,
      `select * from howdah.add_jobs(array(select json_populate_recordset(null::howdah.job_spec,
         '[{"identifier": "t", "max_attempts": 2.5}]'::json)))`,
    ],
  },
  "3.3 complete_jobs": {
    "deletes what does not run, and unlocks no queue": [
      ...WAITING_RUNNING_STALE,
      `select * from howdah.complete_jobs(${ids()}) order by payload::text`,
    ],
    "does nothing": [
      add("'t'"),
      "select * from howdah.complete_jobs(null)",
      "select * from howdah.complete_jobs('{}')",
    ],
  },
  "3.4 permanently_fail_jobs": {
    "uses up the attempts of what does not run": [
      ...WAITING_RUNNING_STALE,
      `select * from howdah.permanently_fail_jobs(${ids()}, 'because') order by payload::text`,
    ],
    "has a reason of its own": [
      add("'t'"),
      `select * from howdah.permanently_fail_jobs(${ids()})`,
      `select * from howdah.permanently_fail_jobs(${ids()}, '')`,
    ],
  },
  "3.5 reschedule_jobs": {
    "changes what does not run": [
      ...WAITING_RUNNING_STALE,
      `select * from howdah.reschedule_jobs(${ids()}, run_at => '2099-01-01Z', priority => 2, attempts => 4, max_attempts => 9) order by payload::text`,
    ],
    "changes the time of the update alone": [add(KEYED), AGE, `select * from howdah.reschedule_jobs(${ids()})`],
    "revives what failed for good": [
      add(KEYED),
      FAIL,
      AGE,
      `select * from howdah.reschedule_jobs(${ids()}, attempts => 0)`,
    ],
    "takes odd numbers and refuses others": [
      "attempts => -1",
      "attempts => 99",
      "max_attempts => 0",
      "max_attempts => 32768",
      "priority => 32768",
    ].flatMap((given) => [
      add("'t'"),
      `select * from howdah.reschedule_jobs(${ids()}, ${given})`,
      "delete from howdah._private_jobs",
    ]),
  },
  "3.6 remove_job": {
    "deletes what waits, has failed or is stale, and detaches what runs": [
      ...WAITING_RUNNING_STALE,
      add("'t', '4', job_key => 'failed'"),
      `${FAIL} where key = 'failed'`,
      ...["waits", "runs", "stale", "failed"].map((key) => `select * from howdah.remove_job('${key}')`),
    ],
    "returns nulls when there is none": [
      "select * from howdah.remove_job('none')",
      "select * from howdah.remove_job(null)",
    ],
  },
  "3.7 force_unlock_workers": {
    "unlocks jobs and queues of these workers": [
      ...WAITING_RUNNING_STALE,
      "update howdah._private_jobs set locked_by = 'other' where key = 'runs'",
      "select from howdah.force_unlock_workers('{w,none}')",
    ],
    "does nothing": [
      ...WAITING_RUNNING_STALE,
      "select from howdah.force_unlock_workers(null)",
      "select from howdah.force_unlock_workers('{}')",
    ],
  },
};

const ours: Partial<Record<Layout, Place>> = {};
let theirs: Place;
beforeAll(async () => {
  for (const layout of OURS) ours[layout] = await createPlace(layout);
  theirs = await createPlace("theirs");
});
afterAll(async () => {
  for (const place of [...Object.values(ours), theirs]) await place[Symbol.asyncDispose]();
});

describe.each(Object.entries(CASES))("%s", (_, cases) => {
  it.each(Object.entries(cases))("%s", async (__, statements) => {
    const wanted = await tell(theirs, statements);
    for (const layout of OURS)
      expect({ layout, ...(await tell(ours[layout] as Place, statements)) }).toEqual({ layout, ...wanted });
  });
});

describe("4 notifications", () => {
  /** How many jobs `jobs:insert` says there are, message by message; "" for one without a number. */
  async function heard(place: Place, statement: string): Promise<(number | string)[]> {
    const counts: (number | string)[] = [];
    const session = await place.database.connect();
    session.on("notification", ({ channel, payload = "" }) => {
      if (channel === "jobs:insert")
        counts.push(payload === "" ? "" : Number((JSON.parse(payload) as { count: number }).count));
    });
    await session.query('listen "jobs:insert"');
    await session.query(statement);
    // What a session notifies itself of arrives before the answer to the next statement.
    await session.query("select 1");
    await session.end();
    return counts;
  }
  const spec = (n: number, runAt = "null"): string => `row('t', '${n}', null, ${runAt}, null, null, null, null)`;

  it.each<[what: string, statements: readonly string[], theirs: (number | string)[], ours: (number | string)[]]>([
    ["one job", [add("'t'")], [1], [1]],
    ["three jobs", [addMany(`${spec(1)}, ${spec(2)}, ${spec(3)}`)], [3], [3]],
    ["a job that is replaced", [add("'t', job_key => 'k'"), add("'t', job_key => 'k'")], [1], [1]],
    [
      "a job that is left alone",
      [add("'t', job_key => 'k'"), add("'t', job_key => 'k', job_key_mode => 'unsafe_dedupe'")],
      [],
      [],
    ],
    ["a job that is removed", [add("'t', job_key => 'k'"), "select howdah.remove_job('k')"], [-1], [-1]],
    ["a job that is not there", ["select howdah.remove_job('k')"], [], []],
    // Where Howdah says less, no worker has anything to do: the workers of graphile-worker find later jobs by polling.
    ["a job for later", [add("'t', run_at => '2099-01-01Z'")], [1], []],
    ["jobs of which some are for later", [addMany(`${spec(1)}, ${spec(2, "'2099-01-01Z'")}`)], [2], [1]],
    ["no jobs", ["select howdah.add_jobs('{}')"], [""], []],
    // Where it says more, there is something to do at once.
    [
      "a job that is due again",
      [add("'t', run_at => '2099-01-01Z'"), `select howdah.reschedule_jobs(${ids()}, run_at => now())`],
      [],
      [1],
    ],
  ])("tell of %s", async (_, statements, fromTheirs, fromOurs) => {
    const places = OURS.map((layout) => [ours[layout] as Place, fromOurs] as const);
    for (const [place, wanted] of [[theirs, fromTheirs] as const, ...places]) {
      await tell(place, statements.slice(0, -1));
      expect(await heard(place, statements.at(-1) ?? "")).toEqual(wanted);
    }
  });
});
