import { LocationProvider } from "preact-iso";
import { renderToString } from "preact-render-to-string";
import type { ComponentChild } from "preact";
import { describe, expect, it } from "vitest";
import {
  ANSWERS,
  at,
  count,
  job,
  limitsView,
  lock,
  NOW,
  operationView,
  overview,
  preview,
  queueView,
  ruledLock,
  samples,
  session,
  task,
  taskView,
  why,
} from "../../dev/fixtures.ts";
import type { SessionAnswer } from "../../../src/admin/contract/overview-views.ts";
import { AddJob } from "../actions/add-job.tsx";
import { OperationProgress } from "../actions/operation-progress.tsx";
import { WhatIfDialog } from "../actions/what-if-dialog.tsx";
import { Api } from "../api/api.ts";
import { Live } from "../api/live.ts";
import { StandingClock } from "../clock.ts";
import { KeySheet } from "../keyboard/key-sheet.tsx";
import { Page, PageContext } from "../page.ts";
import { createSettings } from "../settings.ts";
import { Gate } from "../shell/gate.tsx";
import { Rail } from "../shell/rail.tsx";
import { TopBar } from "../shell/top-bar.tsx";
import { Activity } from "./activity.tsx";
import { Health } from "./health.tsx";
import { History } from "./history/history.tsx";
import { Job } from "./job/job.tsx";
import { Jobs } from "./jobs/jobs.tsx";
import { Operation } from "./operations/operation.tsx";
import { OperationList } from "./operations/operation-list.tsx";
import { Backlog, CursorBar } from "./overview/backlog.tsx";
import { Overview } from "./overview/overview.tsx";
import { RANGES } from "./overview/samples.ts";
import { Queue } from "./queues/queue.tsx";
import { Queues } from "./queues/queues.tsx";
import { ScheduleList } from "./schedules.tsx";
import { Task } from "./tasks/task.tsx";
import { Tasks } from "./tasks/tasks.tsx";
import { Worker } from "./workers/worker.tsx";
import { Workers } from "./workers/workers.tsx";

/** What is asked for a view in its usual form. */
const JOBS = "jobs?backward=true&limit=50";
const QUEUES = "queues?limit=50";
const HISTORY = "history?limit=50";

const FULL: Readonly<Record<string, unknown>> = {
  ...ANSWERS,
  [JOBS]: ANSWERS["jobs"],
  [QUEUES]: ANSWERS["queues"],
  [HISTORY]: ANSWERS["history"],
};

/** A page to which these answers were given, by the paths of the API. */
function pageWith(answers: Readonly<Record<string, unknown>>, changes: Partial<SessionAnswer> = {}): Page {
  const clock = new StandingClock(NOW);
  const never = (): Promise<never> => new Promise(() => undefined);
  const page = new Page({
    base: "/ops/",
    clock,
    api: new Api({ url: "https://example.com/ops/api/v1/", fetch: never, clock }),
    live: new Live({ clock, open: never }),
    settings: createSettings(undefined),
    session: { ...session, ...changes },
  });
  for (const [path, answer] of Object.entries(answers)) page.resource(path).set(answer);
  return page;
}

/** The page below an address, as text. */
function shown(view: ComponentChild, page: Page, address = "/ops/"): string {
  globalThis.location = new URL(address, "https://example.com") as unknown as Location;
  return renderToString(
    <PageContext.Provider value={page}>
      <LocationProvider>{view}</LocationProvider>
    </PageContext.Provider>,
  );
}

/** What people read of it. */
function textOf(html: string): string {
  return html
    .replaceAll(/<[^>]+>/g, " ")
    .replaceAll(/&quot;/g, '"')
    .replaceAll(/&lt;/g, "<")
    .replaceAll(/&gt;/g, ">")
    .replaceAll(/\s+/g, " ");
}

const VIEWS: readonly { name: string; view: ComponentChild; paths: readonly string[]; says: string }[] = [
  { name: "Overview", view: <Overview />, paths: ["overview"], says: "2 things need you." },
  { name: "Jobs", view: <Jobs />, paths: [JOBS], says: "TypeError: order.lines is not iterable" },
  {
    name: "Job",
    view: <Job id="42" />,
    paths: ["jobs/42", "jobs/42/why"],
    says: "Its queue tenant-7 is held by worker w_3",
  },
  { name: "Queues", view: <Queues />, paths: [QUEUES], says: "a/b c" },
  {
    name: "Queue",
    view: <Queue name="tenant-7" />,
    paths: ["queues/tenant-7", "queues/tenant-7/lock"],
    says: "Held by w_3",
  },
  {
    name: "Queue with rules",
    view: <Queue name="crm:acme" />,
    paths: ["queues/crm%3Aacme", "queues/crm%3Aacme/lock"],
    says: "Full: 5 of at most 5 jobs run.",
  },
  { name: "Tasks", view: <Tasks />, paths: ["tasks"], says: "no worker runs it" },
  { name: "Task", view: <Task name="send_email" />, paths: ["tasks/send_email"], says: "Workers that run it" },
  { name: "Workers", view: <Workers />, paths: ["workers"], says: "claims fail for 1 m 35 s" },
  { name: "Worker", view: <Worker name="w_3" />, paths: ["workers/w_3"], says: "5 of 6 slots busy" },
  { name: "Schedules", view: <ScheduleList />, paths: ["schedules"], says: "at 08:00 from Monday to Friday" },
  { name: "Health", view: <Health />, paths: ["doctor"], says: "2 checks of 6 need you." },
  { name: "Activity", view: <Activity />, paths: ["activity"], says: "retry, state failed, task send_email" },
  { name: "Operations", view: <OperationList />, paths: ["operations"], says: "Stalled" },
  { name: "Operation", view: <Operation id="7" />, paths: ["operations/7"], says: "2,491 jobs retried" },
];

describe.each(VIEWS)("$name", ({ view, paths, says }) => {
  it("shows what was answered", () => {
    const text = textOf(shown(view, pageWith(FULL)));
    expect(text).toContain(says);
    expect(text).not.toMatch(/undefined|\[object|NaN/);
  });

  it("draws nothing yet while the answer is awaited, and then a skeleton", () => {
    const page = pageWith({});
    expect(shown(view, page)).toContain("skeleton unseen");
    for (const path of paths) page.resource(path).load();
    (page.clock as StandingClock).advance(400);
    expect(shown(view, page)).toContain('aria-busy="true"');
    (page.clock as StandingClock).advance(1_600);
    expect(textOf(shown(view, page))).toContain("The database did not answer in 2 s.");
  });

  it("says that a question failed, and never that there is nothing", async () => {
    const page = pageWith({});
    for (const path of paths) await fail(page, path);
    const text = textOf(shown(view, page));
    expect(text).toContain("The server cannot be reached");
    expect(text).toContain("This is not an empty list: nothing is known.");
    expect(text).not.toMatch(/There (is|are) no|No (job|queue|worker|schedule|change)/);
  });

  it("keeps old data with their age when the server is gone", async () => {
    const page = pageWith(FULL);
    (page.clock as StandingClock).advance(12_000);
    for (const path of paths) await fail(page, path);
    const text = textOf(shown(view, page));
    expect(text).toContain("What you see is 12 s old .");
    expect(text).toContain(says);
  });

  it("has no button that changes anything for those who may only read", () => {
    const changing =
      /<button[^>]*>(?:Retry|Reschedule|Cancel|Fail…|Complete|Remove|Pause|Resume|Unlock|Sweep|Add |Stop|Go on)/;
    expect(shown(view, pageWith(FULL, { readOnly: true }))).not.toMatch(changing);
    expect(shown(view, pageWith(FULL, { role: "read" }))).not.toMatch(changing);
    expect(shown(view, pageWith(FULL, { role: "operate" }))).not.toMatch(/<button[^>]*>(?:Unlock|Sweep)/);
  });

  it("has no style and no script of its own", () => {
    expect(shown(view, pageWith(FULL))).not.toMatch(/ style="|<script|<style| on[a-z]+="/);
  });
});

async function fail(page: Page, path: string): Promise<void> {
  const resource = page.resource(path);
  resource.hear({ asOf: at(0), problem: { status: 503, title: "Unavailable", detail: "The database is away." } });
  await Promise.resolve();
}

const EMPTY: readonly {
  name: string;
  view: ComponentChild;
  answers: Readonly<Record<string, unknown>>;
  says: string;
}[] = [
  {
    name: "Overview",
    view: <Overview />,
    answers: {
      overview: {
        ...overview,
        counts: { ready: count(0), scheduled: count(0), running: count(0), failed: count(0) },
        lastHour: { completed: 0, attemptsFailed: 0 },
        workers: { ...overview.workers, count: 0 },
      },
    },
    says: "Waiting for the first job.",
  },
  {
    name: "Jobs",
    view: <Jobs />,
    answers: { [JOBS]: { asOf: at(0), jobs: [], next: null, searched: null } },
    says: "There are no jobs.",
  },
  {
    name: "Queues",
    view: <Queues />,
    answers: { [QUEUES]: { asOf: at(0), queues: [], next: null } },
    says: "There is no named queue.",
  },
  {
    name: "Queue",
    view: <Queue name="a" />,
    answers: { "queues/a": { asOf: at(0), queue: queueView("a"), jobs: [] } },
    says: "No job waits in this queue.",
  },
  {
    name: "Tasks",
    view: <Tasks />,
    answers: { tasks: { asOf: at(0), tasks: [] } },
    says: "No job of any task was added",
  },
  {
    name: "Workers",
    view: <Workers />,
    answers: { workers: { asOf: at(0), workers: [] } },
    says: "No worker is registered.",
  },
  {
    name: "Schedules",
    view: <ScheduleList />,
    answers: { schedules: { asOf: at(0), schedules: [] } },
    says: "No schedule is stored.",
  },
  {
    name: "Health",
    view: <Health />,
    answers: { doctor: { asOf: at(0), status: "ok", results: [] } },
    says: "Nothing needs you.",
  },
  {
    name: "Activity",
    view: <Activity />,
    answers: { activity: { asOf: at(0), activity: [], next: null } },
    says: "No change was made",
  },
  {
    name: "Operations",
    view: <OperationList />,
    answers: { operations: { asOf: at(0), operations: [] } },
    says: "No change of many jobs was begun.",
  },
];

it.each(EMPTY)("says of an empty view what it is: $name", ({ view, answers, says }) => {
  const text = textOf(shown(view, pageWith(answers)));
  expect(text).toContain(says);
  expect(text).not.toContain("nothing is known");
});

it("offers what would find more where nothing was found", () => {
  const address = "/ops/jobs?state=failed&task=a&error=boom";
  const path = "jobs?state=failed&task=a&error=boom&backward=true&limit=50";
  const none = { asOf: at(0), jobs: [], next: null, searched: null };
  const text = textOf(shown(<Jobs />, pageWith({ [path]: none }), address));
  expect(text).toContain('There are no failed jobs of task a whose error contains "boom".');
  expect(text).toContain("Without error:boom");
  const more = { ...none, next: "x", searched: { from: null, to: "4100000" } };
  const searched = textOf(shown(<Jobs />, pageWith({ [path]: more }), address));
  expect(searched).toContain("Nothing yet.");
  expect(searched).toContain("among up to 50,000 jobs, to id 4100000.");
  const known = textOf(shown(<Jobs />, pageWith({ [path]: more, overview }), address));
  expect(known).toContain("to id 4100000, of about 5M.");
  expect(searched).toContain("Search on");
});

it("groups jobs by their error", () => {
  const page = pageWith({ errors: ANSWERS["errors"] });
  const text = textOf(shown(<Jobs />, page, "/ops/jobs?group=error"));
  expect(text).toContain("TypeError: order.lines is not iterable 6,668 import_csv 6,600, send_email 68");
  expect(text).toContain("Of the newest 20,000 jobs that failed, down to id 4100000.");
});

it("shows the columns of the address", () => {
  const html = shown(<Jobs />, pageWith(FULL), "/ops/jobs?columns=worker,priority");
  expect([...html.matchAll(/<th [^>]*scope="col"(?: class="end")?>([^<]*)</g)].map(([, title]) => title)).toEqual([
    "Id",
    "Priority",
    "Worker",
  ]);
});

it("keeps every digit of a payload, and says what is redacted", () => {
  const html = shown(<Job id="42" />, pageWith(FULL));
  expect(html).toContain("9007199254740993");
  expect(html).toContain("12.50");
  expect(textOf(html)).toContain("partly redacted");
});

it("shows how far a job is, its failed attempts with their stacks, and its log", () => {
  const text = textOf(shown(<Job id="42" />, pageWith(FULL)));
  expect(text).toContain("Progress");
  expect(text).toContain("It was started 3 times.");
  expect(text).toContain("1 Error: connect ECONNREFUSED 10.0.0.7:25");
  expect(text).toContain("at totalOf (/srv/app/src/orders/total.ts:41:22)");
  expect(text).toContain('Sent the first 40 {"host":"mail.example.com"}');
});

it("shows what is kept of a job that has ended, in the place of a job", () => {
  const page = pageWith(FULL);
  page.resource("jobs/41").hear({ asOf: at(0), problem: { status: 404, detail: "There is no job 41." } });
  const text = textOf(shown(<Job id="41" />, page));
  expect(text).toContain("Ended completed");
  expect(text).toContain("messageId");
  expect(text).toContain("Finished jobs with the same key");
});

it("lists what has ended, the newest first, with what was asked for", () => {
  const text = textOf(shown(<History />, pageWith(FULL), "/ops/history"));
  expect(text).toContain("41 completed send_email mail:76 1 4.0 s");
  expect(text).toContain("the customer withdrew");
  expect(text).toContain("Older");
  const asked = "history?task=a&state=failed&limit=50";
  const none = pageWith({ ...FULL, [asked]: { asOf: at(0), jobs: [], next: null } });
  expect(textOf(shown(<History />, none, "/ops/history?task=a&state=failed"))).toContain("No such job is kept.");
});

it("says of a job that is gone what people did to it", () => {
  const page = pageWith({ "activity?jobId=42": ANSWERS["activity"] });
  page.resource("history/42").hear({ asOf: at(0), problem: { status: 404, detail: "None is kept." } });
  page.resource("jobs/42").hear({ asOf: at(0), problem: { status: 404, detail: "There is no job 42." } });
  const text = textOf(shown(<Job id="42" />, page));
  expect(text).toContain("Job 42 is not in the table: it completed, was removed, or never existed.");
  expect(text).toContain("operation 7");
});

it("says where a job runs, in the place of why it does not", () => {
  const runs = {
    ...why,
    reasons: [
      { code: "running", message: "Worker w_1 runs it for 3 s.", remedy: "Nothing has to be done.", workerId: "w_1" },
    ],
  };
  const text = textOf(shown(<Job id="42" />, pageWith({ ...FULL, "jobs/42/why": runs })));
  expect(text).toContain("Where it runs Worker w_1 runs it for 3 s.");
});

it("offers the nearest name for a task that no worker runs", () => {
  const answer = { ...task, task: taskView("send_emial", { workers: 0 }), nearest: "send_email" };
  const text = textOf(shown(<Task name="send_emial" />, pageWith({ "tasks/send_emial": answer })));
  expect(text).toContain("No live worker runs this task.");
  expect(text).toContain("a worker runs send_email");
});

/** Without the gaps that parts of a sentence leave. */
function proseOf(html: string): string {
  return textOf(html).replaceAll(/ (?=,)/g, "");
}

it("says of a queue with rules what they are, and what they leave to it", () => {
  const path = "queues/crm%3Aacme/lock";
  const html = shown(<Queue name="crm:acme" />, pageWith(FULL));
  const text = proseOf(html);
  expect(text).toContain("Rules of crm:* Running 5 of 5 run Rate 100 in 1 m, 20 at once Next start now");
  expect(text).toContain("Share of the turns 3 Pool crm-api: 41 of 50 run");
  expect(text).toContain("55 sync_contact w_1");
  expect(text).not.toMatch(/the queue is free|Holder/);
  expect(html).not.toContain("Unlock by force…");
  const changed = (changes: Parameters<typeof limitsView>[0]): string => {
    const queue = queueView("crm:acme", { limits: limitsView(changes) });
    const pool = changes?.pool === null ? null : { ...ruledLock.pool, running: null, nextStartAt: at(60) };
    return proseOf(
      shown(<Queue name="crm:acme" />, pageWith({ ...FULL, [path]: { ...ruledLock, queue, pool, running: [] } })),
    );
  };
  expect(changed({ rule: null, isWaiting: true, rate: null })).toMatch(
    /Rules of none any more .* Rate - .* Other rules once what runs has ended Running none Claimed/,
  );
  expect(changed({ concurrency: null, running: 12, pool: null, nextStartAt: at(5), parkedUntil: at(9) })).toMatch(
    /12 run, no limit .* Next start 12:00:12Z Parked until 12:00:16Z .* Pool - /,
  );
  expect(changed({})).toContain("crm-api, next start 12:01:07Z");
});

it("says in the list what rules leave to queues, and never that one with rules is free", () => {
  const text = (changes: Parameters<typeof limitsView>[0], isPaused = false): string => {
    const queues = [queueView("crm:acme", { limits: limitsView(changes), isPaused })];
    return proseOf(shown(<Queues />, pageWith({ [QUEUES]: { asOf: at(0), queues, next: null } })));
  };
  expect(text({ running: 0 })).toMatch(/crm:acme 0 of 5 run in pool crm-api 14/);
  expect(text({ running: 0 })).not.toContain(" free ");
  expect(text({ parkedUntil: at(9), nextStartAt: at(5), pool: null })).toMatch(
    /5 of 5 run, parked until 12:00:16Z, next start 12:00:12Z 14/,
  );
  expect(text({ concurrency: 1, running: 1, isWaiting: true }, true)).toMatch(
    /paused 1 of 1 runs, waits for other rules/,
  );
});

it("writes out what an unlock breaks, for administrators only", () => {
  const dead = { ...lock, state: "holder_dead", sentence: "Its holder died 14 s ago.", freedInMs: 16_000 };
  const answers = { ...FULL, "queues/tenant-7/lock": dead };
  const html = shown(<Queue name="tenant-7" />, pageWith(answers));
  expect(textOf(html)).toContain("Its holder died 14 s ago. Recovery frees it in at most 16 s .");
  expect(html).toContain("Unlock by force…");
  expect(shown(<Queue name="tenant-7" />, pageWith(answers, { role: "operate" }))).not.toContain("Unlock by force…");
});

it("shows the chart's frame, its changes in words, and the moment of the cursor", () => {
  const [range] = RANGES;
  const frame = (
    <Backlog
      samples={samples}
      range={range}
      onRange={() => undefined}
      hidden={new Set(["failed"])}
      onHide={() => undefined}
      cursor={undefined}
      onPick={() => undefined}
    />
  );
  const html = shown(frame, pageWith(FULL));
  expect(textOf(html)).toContain("2 changes by people, 1 start of workers, 1 loss of workers");
  expect(textOf(html)).toContain("ada paused the queue invoices");
  expect(html).toMatch(/aria-pressed="false"[^>]*>.*failed/);
  const sample = samples.samples[0];
  if (!sample) throw new Error("There is no sample.");
  expect(textOf(shown(<CursorBar sample={sample} onNow={() => undefined} />, pageWith(FULL)))).toContain(
    "15 of 18 slots busy",
  );
});

it("looks at a change before it is made", () => {
  const order = { action: "retry" as const, ids: ["1"], words: "job 1" };
  expect(textOf(shown(<WhatIfDialog order={order} />, pageWith(FULL)))).toContain(
    "Looking at which jobs that would be",
  );
  const later = textOf(shown(<WhatIfDialog order={{ ...order, action: "reschedule" }} />, pageWith(FULL)));
  expect(later).toContain("Run in, such as 5m or 2h");
  expect(later).toContain("What would that do?");
  expect(preview.confirm).toBe("6668");
});

it("follows an operation, and offers what applies to it", () => {
  const text = (changes: Parameters<typeof operationView>[0]): string =>
    textOf(shown(<OperationProgress operation={operationView(changes)} />, pageWith({})));
  expect(text({})).toContain("Under way. 2,491 jobs retried, 9 left alone");
  expect(text({})).toMatch(/Pause Stop for good/);
  expect(text({ isStalled: true })).toMatch(/Go on Stop for good/);
  expect(text({ state: "done" })).not.toMatch(/Pause|Stop/);
  expect(text({ id: null, state: "done" })).toContain("Done after 29 s.");
});

it("offers a copy of a job with changes", () => {
  const dialog = <AddJob task={job.task} from={job} onClose={() => undefined} />;
  const text = textOf(shown(dialog, pageWith(FULL)));
  expect(text).toContain("The payload is that of this job.");
  expect(text).toContain('what is "[redacted]" is taken from this job');
});

it("has the places, their counts, and who may do what", () => {
  const rail = textOf(shown(<Rail />, pageWith(FULL)));
  expect(rail).toContain("ready ~3.5M running 19 failed ~401k");
  expect(rail).toContain("Health needs you: 2");
  expect(textOf(shown(<TopBar />, pageWith(FULL)))).not.toContain("read-only");
  expect(textOf(shown(<TopBar />, pageWith(FULL, { role: "read" })))).toContain("production howdah read-only");
});

it("has a sheet of keys", () => {
  expect(textOf(shown(<KeySheet />, pageWith(FULL)))).toContain("shift a Select everything that passes the filter");
});

it("shows nothing of the page before it is known who asks", () => {
  const page = pageWith(FULL);
  expect(shown(<Gate>inside</Gate>, page)).toContain("inside");
  page.session.value = undefined;
  const html = shown(<Gate>inside</Gate>, page);
  expect(html).toContain('aria-busy="true"');
  expect(html).not.toContain("inside");
});

it("shows no history to those who may see some tasks only, because it is that of all", () => {
  const answers = { overview: { ...overview, rates: null } };
  expect(textOf(shown(<Overview />, pageWith(answers, { tasks: ["send_email"] })))).not.toContain("Backlog");
});

it("says how long attempts waited and ran, and that the longest have no end", () => {
  const text = (times: object): string =>
    textOf(shown(<Overview />, pageWith({ overview: { ...overview, times: { ...overview.times, ...times } } })));
  expect(text({})).toContain("95% waited under 4.1 s, ran under 256 ms");
  expect(text({ waitP95Ms: null, p95Ms: null })).toContain("95% waited over 3 d, ran over 16 s");
  expect(text({ meanMs: null })).toContain("no attempt in ten minutes");
  const long = { ...task, task: taskView("send_email", { p95Ms: null }) };
  const details = textOf(shown(<Task name="send_email" />, pageWith({ "tasks/send_email": long })));
  expect(details).toContain("Run time 50%, 95% 32 ms , over 16 s");
});

it("begins a new job with what its payload must be, as far as the server knows it", () => {
  const known = { task: "send_email", isKnown: true, isBatch: false };
  const schema = '{"type":"object","properties":{"to":{"type":"string","format":"email"}},"required":["to"]}';
  const text = (answer: object): string => {
    const page = pageWith({ "tasks/send_email/schema": { ...known, schema: null, ...answer } });
    return textOf(shown(<AddJob task="send_email" onClose={() => undefined} />, page));
  };
  expect(text({ schema })).toContain("to text (email) required");
  expect(text({ schema })).toContain('{ "to": "" }');
  expect(text({ isBatch: true })).toContain("must be a list of items");
  expect(text({ isKnown: false })).toContain("any JSON can be added");
});

it("goes on where a page of the record has found nothing yet", () => {
  const more = { asOf: at(0), activity: [], next: "4711" };
  const text = textOf(shown(<Activity />, pageWith({ activity: more })));
  expect(text).toContain("Nothing yet among the 10,000 changes that were looked at. Search on");
  const page = pageWith({ "activity?jobId=42": more });
  page.resource("history/42").hear({ asOf: at(0), problem: { status: 404, detail: "None is kept." } });
  page.resource("jobs/42").hear({ asOf: at(0), problem: { status: 404, detail: "There is no job 42." } });
  expect(textOf(shown(<Job id="42" />, page))).toContain("Nothing that named its id, among the 10,000 changes");
});
