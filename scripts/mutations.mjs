/**
 * What scripts/mutate.mjs breaks, and which tests have to notice. `find` is a text
 * that is in the file exactly once.
 *
 * @typedef {{ name: string, file: string, find: string, replace: string, tests: string[] }} Mutation
 */

const FUNCTIONS = "src/postgres/migrations/000002-functions.sql";
const CLAIM = "src/postgres/migrations/000003-claim.sql";
const CLAIM_PARTS = "src/postgres/migrations/fragments/claim.sql";
const ENDINGS = "src/postgres/migrations/000007-endings.sql";
const ENDING_PARTS = "src/postgres/migrations/fragments/endings.sql";
const RELEASE_PARTS = "src/postgres/migrations/fragments/release.sql";
const LEAN = "src/postgres/migrations/new-lean-claim.sql";
const SCHEDULES = "src/postgres/migrations/000004-schedules.sql";
const RECOVERY = "src/postgres/migrations/000005-recovery.sql";
const SLOT = "src/job/execute/slot.ts";
const SLOT_MACHINE = "src/job/execute/slot-machine.ts";
const SLOTS = "src/job/execute/slots.ts";
const BATCH = "src/job/execute/execute-batch.ts";
const STORABLE = "src/job/payload.ts";
const DIRECT_SOURCE = "src/job/claim/direct-source.ts";
const READ_AHEAD = "src/job/claim/read-ahead.ts";

const test = (...names) => names.map((name) => `test/integration/${name}.test.ts`);
const CLAIMS = test(
  "queues/claims",
  "claim/floors",
  "claim/worker-flags",
  "claim/races",
  "control/pause",
  "claim/history",
);
const RELEASES = test(
  "release/fence",
  "sql/notifications",
  "release/locks",
  "release/outcomes",
  "release/release-and-claim",
);
const KEYED = test("add/job-keys", "sql/add-job", "sql/add-jobs", "sql/races", "sql/notifications");
const MANAGED = test("sql/manage", "sql/workers", "client/manage");
const RECOVERIES = test(
  "recovery/sweeps",
  "recovery/refused",
  "release/poison",
  "client/workers",
  "claim/worker-lost-claim",
);
const CRON = test("cron/schedules-client", "cron/schedules-worker", "cron/refused", "cron/worker");
const SLOT_TESTS = ["src/job/execute/slots.test.ts", ...test("control/worker-timeout", "recovery/worker-fencing")];

/** @type {(file: string, tests: string[]) => (name: string, find: string, replace: string) => Mutation} */
const within = (file, tests) => (name, find, replace) => ({ name, file, find, replace, tests });

/** What the test `name` is the likeliest to notice. @type {(name: string, mutation: Mutation) => Mutation} */
const noticedBy = (name, mutation) => ({ ...mutation, tests: [...test(name), ...mutation.tests] });

const claim = within(CLAIM, CLAIMS);
const claimPart = within(CLAIM_PARTS, CLAIMS);
const release = within(RELEASE_PARTS, RELEASES);
const releasedJob = within(ENDING_PARTS, RELEASES);
const unreleased = within(ENDINGS, RELEASES);
const keyed = within(FUNCTIONS, KEYED);
const named = within(CLAIM, test("claim/named", "claim/worker-named-claims"));
const removed = within(ENDINGS, MANAGED);
const detached = within(ENDING_PARTS, [...KEYED, ...MANAGED]);
const recoveredByCall = within(ENDING_PARTS, MANAGED);
const recovery = within(RECOVERY, RECOVERIES);
const recoveredJob = within(ENDING_PARTS, RECOVERIES);
const cron = within(SCHEDULES, CRON);
const slots = within(SLOTS, SLOT_TESTS);
const slot = within(SLOT, SLOT_TESTS);
const slotMachine = within(SLOT_MACHINE, ["src/job/execute/slot-machine.test.ts", ...SLOT_TESTS]);
const batch = within(BATCH, ["src/job/execute/execute-batch.test.ts"]);
const straight = within(LEAN, test("claim/straight"));
const straightPart = within(CLAIM_PARTS, test("claim/straight"));
const completed = within(RELEASE_PARTS, test("release/completed", "release/fence"));
const completedOnly = within(LEAN, test("release/completed"));
const continued = within(CLAIM_PARTS, test("release/continue"));
const continuedOnly = within(LEAN, test("release/continue"));
const unclaimable = within(CLAIM, test("claim/worker-unclaimable"));
const sweep = within(RECOVERY, test("sql/sweeps"));
const AHEAD_TESTS = [
  "src/job/claim/direct-source.test.ts",
  "src/job/claim/read-ahead.test.ts",
  ...test("claim/read-ahead"),
];
const directSource = within(DIRECT_SOURCE, AHEAD_TESTS);
const readAhead = within(READ_AHEAD, AHEAD_TESTS);
const storable = within(STORABLE, ["src/job/payload.test.ts"]);

/** @type {readonly Mutation[]} */
export const mutations = [
  noticedBy(
    "claim/worker-flags",
    claim(
      "forbidden flags ignored in heads",
      ":{runnable(jobs, tasks, forbidden)} and :{not_skipped(jobs, skip)}",
      "jobs.task_id = any (tasks) and :{not_skipped(jobs, skip)}",
    ),
  ),
  claim("a locked job before the head ignored", "where head.locked_at is null\n", "where true\n"),
  noticedBy("control/pause", claim("heads of paused queues", "\n      and :{not_paused(queues, now())}", "")),
  claim(
    "no level above the first",
    "from level where level.priority is not null\n      )\n      select first",
    "from level where false\n      )\n      select first",
  ),
  noticedBy(
    "claim/floors",
    claim(
      "floors of queues not backed off",
      'else least(:"schema"._howdah_at(given.us), settled)',
      'else :"schema"._howdah_at(given.us)',
    ),
  ),
  noticedBy(
    "claim/floors",
    claim("what floors hide is not looked for", "if cardinality(hidden) > 0 then", "if false then"),
  ),
  claimPart("heads not sorted", "order by head.priority, head.run_at, head.id);", "order by head.id desc);"),
  noticedBy(
    "claim/floors",
    claimPart("floors of levels not backed off", "floor_at := least(floor_at, settled);", "floor_at := floor_at;"),
  ),
  noticedBy(
    "claim/floors",
    claimPart(
      "attempts not counted without a queue",
      "set :{claim_of(jobs, worker, claimed_at)}\n  where jobs.id = any (array(select picked.id",
      "set locked_by = worker, locked_at = claimed_at\n  where jobs.id = any (array(select picked.id",
    ),
  ),
  claimPart(
    "attempts not counted in queues",
    "set :{claim_of(jobs, worker, claimed_at)}\n  where jobs.id = any (array(select members.id",
    "set locked_by = worker, locked_at = claimed_at\n  where jobs.id = any (array(select members.id",
  ),
  claimPart(
    "queues not locked",
    "set locked_by = worker, locked_at = claimed_at\n  where queues.id = any",
    "set locked_by = locked_by\n  where queues.id = any",
  ),
  claim("chains without end", "chain := least(chain_length, 1 + remaining / taken);", "chain := 1000;"),
  claimPart("more always said", "lost or remaining = 0\n      or due_left", "true\n      or due_left"),
  noticedBy("claim/floors", claimPart("more never said for the limit", "or lost or remaining = 0\n", "or lost\n")),
  claimPart(
    "the circle of windows not closed",
    "exit when window_wrapped and window_end >= window_start;",
    "exit when false;",
  ),
  noticedBy(
    "worker/tasks",
    claimPart("nothing said of tasks that are gone", "'tasksGone', level_count = 0 and (", "'tasksGone', false and ("),
  ),
  claim("queues that are held are looked at", "seen integer[] := coalesce(held, '{}');", "seen integer[] := '{}';"),
  claimPart(
    "chains run ahead of their time",
    "<= (level.priority, claimed_at)\n      and (jobs.priority, jobs.run_at, jobs.id) >= (",
    "<= (level.priority, 'infinity'::timestamptz)\n      and (jobs.priority, jobs.run_at, jobs.id) >= (",
  ),
  claimPart(
    "chains of other tasks",
    "and :{claimable(jobs, tasks, forbidden, skip)}\n    order by jobs.priority, jobs.run_at, jobs.id\n    limit chain",
    "and jobs.locked_at is null and (forbidden is null or (jobs.flags ?| forbidden) is not true)\n      and :{not_skipped(jobs, skip)}\n    order by jobs.priority, jobs.run_at, jobs.id\n    limit chain",
  ),
  noticedBy(
    "claim/floors",
    claim(
      "the due position not backed off",
      'due_position timestamptz := least(:"schema"._howdah_at(due_at), settled);',
      'due_position timestamptz := :"schema"._howdah_at(due_at);',
    ),
  ),
  noticedBy(
    "claim/cost",
    claimPart(
      "due queues of other tasks are looked at",
      "array_agg(due.job_queue_id) filter (where due.task_id = any (tasks))",
      "array_agg(due.job_queue_id)",
    ),
  ),
  noticedBy(
    "control/pause",
    claimPart("paused tasks", 'if exists (select from :"schema"._howdah_paused_tasks) then', "if false then"),
  ),
  unclaimable("jobs to skip in heads", " and :{not_skipped(jobs, skip)}\n            )", ")"),
  noticedBy(
    "claim/worker-unclaimable",
    claimPart(
      "jobs to skip in chains",
      "and :{claimable(jobs, tasks, forbidden, skip)}\n    order by jobs.priority, jobs.run_at, jobs.id\n    limit chain",
      "and jobs.locked_at is null and :{runnable(jobs, tasks, forbidden)}\n    order by jobs.priority, jobs.run_at, jobs.id\n    limit chain",
    ),
  ),
  named(
    "named jobs with forbidden flags",
    ":{runnable(named, tasks, forbidden)}\n    for update",
    "named.task_id = any (tasks)\n    for update",
  ),
  named(
    "named jobs before their time",
    "and named.run_at <= now() and named.locked_at is null",
    "and named.locked_at is null",
  ),
  named("named jobs of queues", "and coalesce(named.job_queue_id, 0) = 0 and", "and"),
  named("named jobs that others hold", "named.run_at <= now() and named.locked_at is null", "named.run_at <= now()"),
  named(
    "named jobs of other tasks",
    "and named.locked_at is null and :{runnable(named, tasks, forbidden)}",
    "and named.locked_at is null and (forbidden is null or (named.flags ?| forbidden) is not true)",
  ),

  straightPart(
    "the last job that was picked seen where it is now",
    'select ids.picked, last.run_at, last.id\ninto picked_ids, seen_at, seen_id\nfrom ids\nleft join :"schema"._private_jobs as last on last.id = ids.picked[cardinality(ids.picked)];',
    'select ids.picked into picked_ids from ids;\nselect last.run_at, last.id into seen_at, seen_id\nfrom :"schema"._private_jobs as last where last.id = picked_ids[cardinality(picked_ids)];',
  ),
  straight(
    "the newest position asked for in a statement after the pick",
    'floor_ats[1] := :"schema"._howdah_us(seen_at);',
    'floor_ats[1] := :"schema"._howdah_us(case when taken < quantity then (select max(jobs.run_at) from :"schema"._private_jobs as jobs where jobs.run_at <= claimed_at) else seen_at end);',
  ),
  straight("the rest looked for from the floor of before", 'floor_ats[1] := :"schema"._howdah_us(seen_at);\n', ""),
  straight(
    "a straight floor not backed off",
    "timestamptz := least(known_at, settled);\n  floor_id constant",
    "timestamptz := known_at;\n  floor_id constant",
  ),
  straight(
    "a straight due position not backed off",
    "(due_at), settled);\n  due_position_id constant",
    "(due_at), now());\n  due_position_id constant",
  ),
  straightPart(
    "straight past queued jobs that became due",
    "order by due.run_at, due.id limit 1",
    "order by due.run_at, due.id limit 0",
  ),
  straightPart(
    "straight past a better priority",
    "order by better.priority limit 1",
    "order by better.priority limit 0",
  ),
  straightPart(
    "straight past paused tasks",
    'and not exists (select from :"schema"._howdah_paused_tasks)\n-- Each',
    "-- Each",
  ),
  straightPart("straight past queues and windows", "cardinality(queue_ids) = 0 and window_after is null\n", "true\n"),

  completed("completions not counted", "if deleted < cardinality(completed) then", "if false then"),
  completed(
    "counted completions without their fence",
    ":{counted_deletion(jobs, jobs.id = any (completed) and :{held_by(jobs, worker, times)})}",
    ":{counted_deletion(jobs, jobs.id = any (completed))}",
  ),
  completedOnly(
    "the end of a chain not counted",
    "if unlocked < cardinality(end_queues) and exists (",
    "if false and exists (",
  ),
  continued("a queue of another claim continued", " and queues.locked_at = ended_at\n", "\n"),
  continued(
    "a paused queue continued",
    "and :{not_paused(queues, claimed_at)} and not exists (select",
    "and not exists (select",
  ),
  continued(
    "a queue continued although a task is paused",
    ' and not exists (select from :"schema"._howdah_paused_tasks)\n  returning',
    "\n  returning",
  ),
  continued(
    "a queue continued past a locked job",
    "(jobs.locked_at is not null or (:{runnable(jobs, tasks, forbidden)}))",
    "jobs.locked_at is null and :{runnable(jobs, tasks, forbidden)}",
  ),
  continued(
    "a queue continued in the next priority",
    "and (jobs.priority, jobs.run_at) <= (level, claimed_at)\n      and (jobs.priority, jobs.run_at, jobs.id) > (level, floor_at, floor_id)",
    "and (jobs.priority, jobs.run_at, jobs.id) > (level, floor_at, floor_id)",
  ),
  continuedOnly("a queue stays locked without a next job", "if not found then", "if false then"),
  continuedOnly(
    "the floor of a continued queue not backed off",
    "floor_at := least(known_at, settled);",
    "floor_at := known_at;",
  ),

  noticedBy(
    "sql/notifications",
    release(
      "no notice of what is due again",
      'perform :"schema"._howdah_notify_v1(kept.due_jobs, kept.due_at, kept.due_queues);',
      "null;",
    ),
  ),
  noticedBy(
    "release/fence",
    release(
      "completion without its fence",
      ":{deleted_jobs(jobs, jobs.id = any (free) and :{held_by(jobs, worker, times)}, jobs.id)}",
      ":{deleted_jobs(jobs, jobs.id = any (free), jobs.id)}",
    ),
  ),
  noticedBy(
    "release/fence",
    releasedJob(
      "a final failure keeps attempts",
      "when change.final then :{no_attempt_left(jobs)}",
      "when false then 0",
    ),
  ),
  releasedJob(
    "a detached job is refunded",
    "when jobs._howdah_detached or change.interrupted and jobs._howdah_recoveries < 0 then jobs.attempts",
    "when change.interrupted and jobs._howdah_recoveries < 0 then jobs.attempts",
  ),
  noticedBy(
    "release/fence",
    releasedJob("no refund", "when change.refund then greatest(0, jobs.attempts - 1)", "when false then 0"),
  ),
  noticedBy(
    "release/poison",
    releasedJob(
      "interruptions not counted",
      "when change.interrupted then :{one_more_recovery(jobs)}",
      "when false then 0",
    ),
  ),
  noticedBy(
    "release/fence",
    releasedJob(
      "a retry from now only",
      "else greatest(now(), jobs.run_at) + change.delay",
      "else now() + change.delay",
    ),
  ),
  noticedBy(
    "control/cancel",
    releasedJob(
      "the reason of a cancellation lost",
      "last_error = coalesce(jobs._howdah_cancelled, change.message, jobs.last_error),\npayload",
      "last_error = coalesce(change.message, jobs.last_error),\npayload",
    ),
  ),
  noticedBy(
    "release/fence",
    releasedJob(
      "what is left of a batch lost",
      "payload = coalesce(change.payload::json, jobs.payload),",
      "payload = jobs.payload,",
    ),
  ),
  noticedBy(
    "release/fence",
    release(
      "changes without their fence",
      "from change where jobs.id = change.id and :{held_by(jobs, worker, times)},",
      "from change where jobs.id = change.id,",
    ),
  ),
  noticedBy(
    "release/fence",
    release("queues of other claims unlocked", 'and queues.locked_at = :"schema"._howdah_at(chain_end.us)\n', ""),
  ),
  noticedBy(
    "release/fence",
    release(
      "queues unlocked although their last job is held",
      "where jobs.id = chain_end.last and :{held_by",
      "where false and :{held_by",
    ),
  ),
  noticedBy(
    "release/fence",
    releasedJob(
      "a release leaves no trace",
      "_howdah_released_at = greatest(jobs._howdah_released_at, jobs.locked_at),\n:{unlocked_row()}",
      ":{unlocked_row()}",
    ),
  ),
  noticedBy(
    "release/fence",
    unreleased(
      "jobs of a swept worker are just gone",
      "select holder._howdah_swept > 0\n            or holder._howdah_unlocked_at",
      "select holder._howdah_unlocked_at",
    ),
  ),
  noticedBy(
    "release/fence",
    unreleased(
      "jobs of a worker without a row are just gone",
      '$7 and not exists (select from :"schema"._private_workers as holder where holder.id = $1)',
      "false",
    ),
  ),
  noticedBy(
    "release/locks",
    unreleased("rows that triggers keep are busy", "when asked.id = any ($5) then 'kept'", "when false then 'kept'"),
  ),
  noticedBy(
    "release/complete",
    unreleased("committed work counts as taken", "then pg_xact_status(asked.within) = 'committed'\n", "then false\n"),
  ),
  noticedBy(
    "release/locks",
    release("locked rows are waited for without patience", "if not patient then", "if false then"),
  ),
  noticedBy(
    "release/locks",
    release(
      "nothing said of a queue whose last job is held",
      "if unlocked < cardinality(end_queues) then",
      "if false then",
    ),
  ),

  noticedBy(
    "sql/races",
    keyed(
      "keys not locked",
      'perform :"schema"._howdah_lock_keys_v1(job_keys);\n  perform :"schema"._howdah_ensure_names_v1(identifiers, queue_names);',
      'perform :"schema"._howdah_ensure_names_v1(identifiers, queue_names);',
    ),
  ),
  detached(
    "a running job is not detached",
    "_howdah_detached = :{job}._howdah_detached or :{job}.locked_at is not null\nwhere :{condition}",
    "_howdah_detached = false\nwhere :{condition}",
  ),
  detached(
    "the old job keeps its attempts",
    "key = null,\n  attempts = :{job}.max_attempts,\n  updated_at",
    "key = null,\n  updated_at",
  ),
  keyed(
    "payloads never merged",
    "when json_typeof(stored.payload) = 'array' and json_typeof(spec.payload) = 'array'",
    "when false",
  ),
  keyed(
    "preserve_run_at after an attempt",
    "when stored.attempts = 0 and spec.mode = 'preserve_run_at' then stored.run_at",
    "when spec.mode = 'preserve_run_at' then stored.run_at",
  ),
  keyed("attempts survive a replacement", "attempts = 0,\n      last_error = null,", "last_error = null,"),
  keyed("the error survives a replacement", "attempts = 0,\n      last_error = null,", "attempts = 0,"),
  keyed("the revision stays", "revision = job.revision + 1,\n      updated_at", "updated_at"),
  keyed(
    "recoveries survive a replacement",
    "_howdah_recoveries = 0,\n      _howdah_timeout_ms = excluded",
    "_howdah_timeout_ms = excluded",
  ),
  noticedBy(
    "control/timeout",
    keyed(
      "the timeout is not replaced",
      "_howdah_recoveries = 0,\n      _howdah_timeout_ms = excluded._howdah_timeout_ms\n",
      "_howdah_recoveries = 0\n",
    ),
  ),

  // Not their earliest time without its filter, which is the same: when a job is due, the earliest of all is due.
  noticedBy(
    "sql/notifications",
    keyed("jobs of later told of", "count(*) filter (where written.run_at <= soon),", "count(*),"),
  ),
  noticedBy(
    "sql/notifications",
    keyed("keyed jobs told of when not asked", "if notify and added.due_count > 0 then", "if added.due_count > 0 then"),
  ),
  noticedBy(
    "sql/notifications",
    keyed("keyed jobs not told of", "if notify and added.due_count > 0 then", "if false then"),
  ),
  keyed(
    "a touch counts no revision",
    "set revision = stored.revision + 1, updated_at = now()\n  where stored.key = job_key\n  returning",
    "set updated_at = now()\n  where stored.key = job_key\n  returning",
  ),
  noticedBy(
    "sql/races",
    keyed(
      "nothing said of a job that is locked",
      "if coalesce(cardinality(ids), 0) < cardinality(identifiers) then",
      "if false then",
    ),
  ),
  removed("a removed running job is deleted", "if :{unlocked_or_forgotten(job)} then", "if true then"),
  recoveredByCall(
    "recovered jobs are not delayed",
    "run_at = greatest(:{job}.run_at, now() + recovery_delay),",
    "run_at = :{job}.run_at,",
  ),

  noticedBy(
    "sql/sweeps",
    recovery(
      "recovery without its lock",
      "if not :{try_sweep_lock()} then\n    kind := 'busy'",
      "if false then\n    kind := 'busy'",
    ),
  ),
  noticedBy(
    "release/poison",
    recoveredJob(
      "a suspect is refunded",
      "when change.action = 'fail' or jobs._howdah_recoveries < 0 then jobs.attempts\n  else",
      "when change.action = 'fail' then jobs.attempts\n  else",
    ),
  ),
  recoveredJob(
    "recoveries not counted",
    "updated_at = now(),\n_howdah_recoveries = :{one_more_recovery(jobs)}\n$$",
    "updated_at = now(),\n_howdah_recoveries = 0\n$$",
  ),
  noticedBy(
    "sql/sweeps",
    recovery(
      "nothing said of what is left",
      "if cardinality(freed) + cardinality(refused) < cardinality(found_ids) then",
      "if false then",
    ),
  ),
  noticedBy(
    "recovery/refused",
    recovery("what is refused is not looked for", "exit when :{last_trial(job_ids, why_state)};", "exit when true;"),
  ),
  noticedBy(
    "recovery/refused",
    recovery(
      "a row that a trigger keeps counts as given back",
      ":{refuse_kept_rows()}\n      exception when others or query_canceled",
      "exception when others or query_canceled",
    ),
  ),
  noticedBy(
    "recovery/refused",
    recovery("what is refused is tried again at once", "      and (skip is null or jobs.id <> all(skip))\n", ""),
  ),
  noticedBy(
    "recovery/refused",
    recovery(
      "a cancel that a trigger raises ends the call",
      "exception when others or query_canceled or assert_failure then",
      "exception when others then",
    ),
  ),
  noticedBy(
    "recovery/refused",
    recovery(
      "deferred constraints ask at the commit",
      "_howdah_ask_deferred_v1(true);",
      "_howdah_ask_deferred_v1(false);",
    ),
  ),
  noticedBy(
    "recovery/refused",
    recovery(
      "one queue that is refused holds up the others",
      "exit when :{last_trial(queue_ids, state)};",
      "exit when true;",
    ),
  ),
  recovery(
    "queues freed although a job is held",
    "and jobs.locked_by = queues.locked_by\n      )\n    order by queues.id for update skip locked",
    "and false\n      )\n    order by queues.id for update skip locked",
  ),
  sweep(
    "a worker that beats again is dead",
    'where found._howdah_swept = 0 and :"schema"._howdah_us(found.last_heartbeat_at) = seen.beat',
    "where found._howdah_swept = 0",
  ),
  sweep(
    "absence outlives a heartbeat",
    "when worker._howdah_absent_beat = worker.last_heartbeat_at then least(",
    "when true then least(",
  ),
  sweep(
    "long gaps between looks count",
    "least(\n          longest_gap_ms, extract",
    "least(\n          9e15, extract",
  ),
  recoveredJob(
    "recovered jobs run at once",
    "else greatest(jobs.run_at, now() + delay_ms * (0.5 + random() / 2) * interval '1 millisecond')",
    "else jobs.run_at",
  ),
  recoveredJob(
    "recovered jobs lose their place in a queue",
    "when jobs.job_queue_id is not null or delay_ms = 0 then jobs.run_at",
    "when delay_ms = 0 then jobs.run_at",
  ),
  noticedBy(
    "client/workers",
    recoveredJob(
      "holders that may live get a refund",
      "when jobs._howdah_detached or oldest is not null then jobs.attempts",
      "when jobs._howdah_detached then jobs.attempts",
    ),
  ),
  noticedBy(
    "client/workers",
    recovery("the age of a lock does not count", "then :{ms_ago(older_ms)} end;", "then now() end;"),
  ),
  noticedBy(
    "sql/notifications",
    recovery("no notification of recovered jobs", "perform :\"schema\"._howdah_notify_freed_v1(freed, '{}');", ""),
  ),
  noticedBy(
    "sql/notifications",
    recovery("no notification of freed queues", "perform :\"schema\"._howdah_notify_freed_v1('{}', freed);", ""),
  ),
  sweep("the newest lock of a stranger counts", "else holder.oldest <", "else holder.newest <"),
  sweep("the oldest lock of one of ours counts", "then holder.newest <", "then holder.oldest <"),
  sweep("orphans are looked for at once again", "if not found then\n      return;", "if false then\n      return;"),

  noticedBy(
    "cron/worker",
    cron("ticks added twice", "and (known.last_execution is null or known.last_execution < wanted.tick_at);", ";"),
  ),
  noticedBy("cron/schedules-worker", cron("ticks of before a change", "and wanted.tick_at >= schedule.since\n", "")),
  noticedBy(
    "cron/schedules-worker",
    cron("stored ticks added twice", "and (schedule.last_tick is null or schedule.last_tick < wanted.tick_at)\n", ""),
  ),
  noticedBy(
    "cron/schedules-worker",
    cron("ticks of a pause", "and (schedule.paused_at is null or schedule.paused_until <= wanted.tick_at)\n", ""),
  ),
  noticedBy(
    "cron/worker",
    cron("a skipped tick gets a job", "if found and wanted.payload is not null then", "if found then"),
  ),
  noticedBy(
    "cron/refused",
    cron(
      "a dropped job counts as added",
      "  if added is null then\n    raise exception using errcode = 'HWDRP'",
      "  if false then\n    raise exception using errcode = 'HWDRP'",
    ),
  ),
  noticedBy(
    "cron/schedules-worker",
    cron(
      "stored ticks are not marked",
      'update :"schema"._howdah_schedules as stored set last_tick = wanted.tick_at where stored.id = wanted.id;',
      "",
    ),
  ),
  cron(
    "what was due during a pause is made up for",
    "else greatest(stored.since, least(now(), stored.paused_until))",
    "else stored.since",
  ),
  cron(
    "a second pause forgets the first",
    "since = case when stored.paused_until <= now() then greatest(stored.since, stored.paused_until) else stored.since end,\n",
    "",
  ),
  cron(
    "another expression makes up for old ticks",
    "if (old.expression, old.time_zone) is distinct from (new.expression, new.time_zone) then",
    "if false then",
  ),
  noticedBy(
    "cron/schedules-worker",
    cron(
      "schedules of another version",
      "where stored.id = wanted.id and stored.version = wanted.version;",
      "where stored.id = wanted.id;",
    ),
  ),

  slots(
    "a handler that is gone is not waited for",
    "if (earlier || (this.#detached.size > 0 && this.holds(key, chain.queueId))) return",
    "if (earlier) return",
  ),
  slots(
    "a job that was claimed again runs twice",
    "earlier?.loseToLaterClaim();\n    if (earlier || (this.#detached.size",
    "if (!earlier && (this.#detached.size",
  ),
  slots("chains are begun too late", "if (now > this.#engine.startUntil) break;", ""),
  slot(
    "the timeout of the task only",
    "const timeoutMs = job.timeoutMs ?? this.#registered.timeoutMs;",
    "const { timeoutMs } = this.#registered;",
  ),
  slot(
    "chains go on too late",
    "const { context, engine } = this.#parts;\n    const now = context.clock.monotonic();\n    return now > engine.startUntil ||",
    "const { context } = this.#parts;\n    const now = context.clock.monotonic();\n    return",
  ),
  slot(
    "stale chains go on",
    "return now > engine.startUntil || now > this.chain.freshUntil;",
    "return now > engine.startUntil;",
  ),
  slot("an abandoned chain ends", "this.#tellEnded(outcome, false);", "this.#tellEnded(outcome, true);"),
  slot("a handler that ends late frees nothing", "engine.settledLate(job);", "if (false) engine.settledLate(job);"),
  slot("parked chains stay", "engine.settledLate(job);\n    slots.left(this);", "engine.settledLate(job);"),
  slot("timers of jobs that ended", "this.#timer?.cancel();\n    this.#timer = undefined;", "this.#timer = undefined;"),
  slotMachine(
    "a timed out handler keeps its slot",
    '["startAbortPeriod"]];\n      return phase === "running" ? STOPPED : [state, []];',
    '["startAbortPeriod"]];\n      return phase === "running" ? [{ phase: "stopping", isLost }, ["tell"]] : [state, []];',
  ),
  slotMachine(
    "a shutdown takes the timeout away",
    'if (phase === "shuttingDown") return [{ phase: "stopping", isLost }, ["startAbortPeriod"]];',
    "",
  ),
  slotMachine(
    "cancelled twice",
    'case "cancelled":\n      return phase === "running" ? STOPPED : [state, []];',
    'case "cancelled":\n      return hasSlot ? [{ phase: "stopping", isLost }, ["tell", "startAbortPeriod"]] : [state, []];',
  ),
  slotMachine(
    "a lost job goes on with its chain",
    '["reportLost", "returnRest", "tell", "startAbortPeriod"]',
    '["reportLost", "tell", "startAbortPeriod"]',
  ),
  slotMachine(
    "a job that is lost while it stops goes on with its chain",
    '[{ phase, isLost: true }, ["reportLost", "returnRest"]]',
    '[{ phase, isLost: true }, ["reportLost"]]',
  ),
  slotMachine(
    "a job that is lost before it runs goes on with its chain",
    '[state, []] : [{ phase: "stopping", isLost: true }, ["reportLost", "returnRest"]]',
    '[state, []] : [{ phase: "stopping", isLost: true }, ["reportLost"]]',
  ),
  slotMachine(
    "slots stay empty after a late handler",
    '["reportDetached", "detach", "returnRest", "vacate"]',
    '["reportDetached", "detach", "returnRest"]',
  ),
  slotMachine("what waits for a late handler is not started", '["settleLate", "vacate"]', '["settleLate"]'),

  directSource("queues are read ahead", "chainLength: 1, mostQueues: room", "chainLength: 1, mostQueues: quantity"),
  directSource(
    "queues wait for slots",
    "(chain.queueId !== null || places-- > 0 ? first : rest)",
    "(places-- > 0 ? first : rest)",
  ),
  directSource("what is read ahead is not found", "this.#ahead?.remove(matches) ?? []", "[]"),
  directSource("a short claim counts as full", "chains.length >= quantity", "chains.length > 0"),
  readAhead(
    "what was read ahead starts late",
    "if (this.#chains.length > 0 && now > this.#until) this.#giveBack(now);",
    "",
  ),
  readAhead("no rest after a return", "    this.#returnedAt = now;\n", ""),

  batch("settled entries count as done", "if (isSettled(value)) return failureOf(value, index);", ""),
  batch("a directive for an item counts as done", "if (isDirective(value))\n", "if (false)\n"),
  storable("invalid dates become null", 'if (isInvalidDate(value)) return "an invalid Date";', ""),
  storable("what toJSON gives is not looked into", "return value.toJSON(key);", 'return "";'),
];
