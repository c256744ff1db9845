import { describe, expectTypeOf, it } from "vitest";
import type { ClientOptions } from "../../src/client/create-client.ts";
import { EVENT_NAMES, type Events } from "../../src/hooks/events.ts";
import type { HookHandler } from "../../src/hooks/emitter.ts";
import type { Hooks } from "../../src/hooks/hooks.ts";
import type { JobRanDecision, JobRunEvent, JobScheduleEvent } from "../../src/hooks/interceptors.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";

declare const hooks: Hooks;

describe("on", () => {
  it("knows what each handler is given", () => {
    hooks.on("jobFail", (event) => void expectTypeOf(event).toEqualTypeOf<Events["jobFail"]>());
    hooks.on("beforeJobRun", (event) => void expectTypeOf(event).toEqualTypeOf<JobRunEvent>());
    hooks.on("beforeJobSchedule", async (event) => void expectTypeOf(event).toEqualTypeOf<JobScheduleEvent>());
    for (const name of EVENT_NAMES) {
      // The only one that clients emit as well.
      if (name === "jobAdd") continue;
      hooks.on(name, ({ workerId }) => void expectTypeOf(workerId).toBeString());
    }
  });

  it("takes the decisions of the interceptor, now or later, and none at all", () => {
    hooks.on("beforeJobRun", () => ({ action: "skip" }));
    hooks.on("beforeJobRun", async () => ({ action: "fail", message: "no" }));
    hooks.on("beforeJobRun", ({ payload }) => ({ action: "continue", payload, within: (run) => run() }));
    hooks.on("afterJobRun", ({ error }) => (error ? { action: "skip" } : undefined));
    hooks.on("jobRecovery", () => ({ action: "reschedule", runAt: new Date() }));
    hooks.on("beforeJobSchedule", () => {});
    expectTypeOf<HookHandler<"beforeJobRun">>().returns.not.toBeNever();
  });

  it("takes no others", () => {
    // @ts-expect-error -- there is nothing to continue
    hooks.on("afterJobRun", () => ({ action: "continue" }));
    // @ts-expect-error -- why?
    hooks.on("beforeJobRun", () => ({ action: "fail" }));
    // @ts-expect-error -- a misspelt action
    hooks.on("beforeJobSchedule", () => ({ action: "skipp" }));
    // @ts-expect-error -- a misspelt name
    hooks.on("beforeJobRuns", () => undefined);
    expectTypeOf<"continue">().not.toExtend<NonNullable<JobRanDecision>["action"]>();
  });
});

describe("the option hooks", () => {
  it("of a worker takes all of them, of a client what a client is asked", () => {
    expectTypeOf<NonNullable<WorkerOptions["hooks"]>["afterJobRun"]>().toEqualTypeOf<
      HookHandler<"afterJobRun"> | undefined
    >();
    expectTypeOf<keyof NonNullable<ClientOptions["hooks"]>>().toEqualTypeOf<"beforeJobSchedule">();
  });
});
