import { describe, expectTypeOf, it } from "vitest";
import { z } from "zod";
import type { Client } from "../../src/client/client.ts";
import { cron, type CronEntry, type CronSpec } from "../../src/cron/cron.ts";
import { every } from "../../src/cron/every.ts";
import type { Schedule } from "../../src/cron/stored-schedule.ts";
import { defineBatchTask, defineTask } from "../../src/job/task.ts";

declare const client: Client;

const sendEmail = defineTask({ identifier: "send_email", run(_payload: { to: string }) {} });
const tidy = defineTask({ identifier: "tidy", run(_payload: { deep?: boolean }) {} });
const dated = defineTask({
  identifier: "dated",
  payload: z.object({ at: z.string().transform((text) => new Date(text)) }),
  run() {},
});
const resize = defineBatchTask({ identifier: "resize", runBatch(_items: { id: number }[]) {} });
const schedule = every.day("8:30");

describe("a cron entry", () => {
  it("has the payload that its task takes", () => {
    expectTypeOf(cron({ task: sendEmail, schedule, payload: { to: "a" } })).toEqualTypeOf<CronEntry>();
    // @ts-expect-error the payload is missing
    cron({ task: sendEmail, schedule });
    // @ts-expect-error the payload is another one
    cron({ task: sendEmail, schedule, payload: { from: "a" } });
    cron({ task: dated, schedule, payload: { at: "2026-01-01" } });
    // @ts-expect-error what the schema makes of it is not what it takes
    cron({ task: dated, schedule, payload: { at: new Date() } });
  });

  it("needs no payload where {} would do, and any object for a task known by its name", () => {
    expectTypeOf(cron({ task: tidy, schedule })).toEqualTypeOf<CronEntry>();
    expectTypeOf(cron({ task: "anything", schedule })).toEqualTypeOf<CronEntry>();
    cron({ task: "anything", schedule, payload: { a: 1 } });
    // @ts-expect-error not an object
    cron({ task: "anything", schedule, payload: 5 });
  });

  it("is not of a batch task, and has no time of its own", () => {
    expectTypeOf<"runAt">().not.toExtend<keyof CronSpec>();
    // @ts-expect-error its payload is a list
    cron({ task: resize, schedule, payload: [] });
    // @ts-expect-error the schedule says when
    cron({ task: tidy, schedule, spec: { runAt: new Date() } });
    // @ts-expect-error ticks would be swallowed
    cron({ task: tidy, schedule, spec: { jobKey: "k", jobKeyMode: "unsafe_dedupe" } });
  });
});

describe("a schedule", () => {
  it("has the payload that its task takes, and a name", () => {
    const upsert = () => client.schedules.upsert({ id: "a", task: sendEmail, schedule, payload: { to: "a" } });
    expectTypeOf(upsert).returns.resolves.toEqualTypeOf<Schedule>();
    // @ts-expect-error the payload is missing
    void (() => client.schedules.upsert({ id: "a", task: sendEmail, schedule }));
    // @ts-expect-error the name is missing
    void (() => client.schedules.upsert({ task: tidy, schedule }));
    void (() => client.inTransaction({} as never).schedules.upsert({ id: "a", task: "b", schedule, missed: "skip" }));
  });
});

describe("every", () => {
  it("takes names and times that can be", () => {
    expectTypeOf(every.week("monday", "8:30")).toBeString();
    // @ts-expect-error no day
    void (() => every.week("someday"));
    // @ts-expect-error no time
    void (() => every.day("noon"));
  });
});
