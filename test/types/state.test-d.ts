import { describe, expectTypeOf, it } from "vitest";
import type { JobContext } from "../../src/job/execute/context.ts";
import { type AnyTask, defineBatchTask, defineTask, defineTasks, type Task } from "../../src/job/task.ts";
import { createWorker } from "../../src/worker/create-worker.ts";
import type { Worker } from "../../src/worker/worker.ts";

interface Mailer {
  send(to: string): Promise<void>;
}

declare const mailer: Mailer;

const sendEmail = defineTask({
  identifier: "send_email",
  async run({ to }: { to: string }, context: JobContext<{ mailer: Mailer }>) {
    expectTypeOf(context.state).toEqualTypeOf<{ mailer: Mailer }>();
    await context.state.mailer.send(to);
  },
});
const archive = defineTask<{ id: number }, { folder: string }>({
  identifier: "archive",
  run({ id }, { state }) {
    expectTypeOf(id).toBeNumber();
    expectTypeOf(state.folder).toBeString();
  },
});
const count = defineBatchTask({ identifier: "count", runBatch(_items: string[], _context: JobContext<number>) {} });
const tidy = defineTask({
  identifier: "tidy",
  run(_payload: unknown, context) {
    expectTypeOf(context.state).toBeUnknown();
  },
});

describe("the state of a task", () => {
  it("is what its handler's context says, without declarations elsewhere", () => {
    expectTypeOf(sendEmail).toEqualTypeOf<Task<{ to: string }, { to: string }, { mailer: Mailer }>>();
    expectTypeOf(sendEmail).toExtend<AnyTask<{ mailer: Mailer; folder: string }>>();
    expectTypeOf(sendEmail).not.toExtend<AnyTask<{ folder: string }>>();
  });
});

describe("createWorker", () => {
  it("takes a state that has what every task needs", () => {
    expectTypeOf(createWorker({ tasks: [sendEmail, tidy], state: { mailer } })).toEqualTypeOf<Promise<Worker>>();
    void createWorker({ tasks: [sendEmail, archive], state: { mailer, folder: "old" } });
    void createWorker<{ mailer: Mailer }>({ tasks: [sendEmail], state: { mailer } });
  });

  it("takes the handlers of defineTasks, with the state that they need", () => {
    const tasks = defineTasks({
      send_email: ({ to }: { to: string }, { state }: JobContext<{ mailer: Mailer }>) => state.mailer.send(to),
      tidy() {},
    });
    expectTypeOf(createWorker({ tasks, state: { mailer } })).toEqualTypeOf<Promise<Worker>>();
    // @ts-expect-error -- a handler needs a mailer
    void createWorker({ tasks });
    void createWorker({ tasks: defineTasks({ tidy() {} }) });
    void createWorker({ tasks: [...defineTasks({ other() {} }), tidy], concurrentJobs: 5, maxPoolSize: 20 });
  });

  it("takes any value as state, and none when no task needs one", () => {
    expectTypeOf(createWorker({ tasks: [count], state: 5 })).toEqualTypeOf<Promise<Worker>>();
    void createWorker({ tasks: [tidy] });
    void createWorker({ tasks: [tidy], state: mailer });
    void createWorker<string | undefined>({ tasks: [tidy] });
  });

  it("refuses a state that is missing, or of another kind", () => {
    expectTypeOf(createWorker<{ mailer: Mailer }>)
      .parameter(0)
      .toHaveProperty("state")
      .toEqualTypeOf<{ mailer: Mailer }>();
    // @ts-expect-error -- the state is missing
    void createWorker({ tasks: [sendEmail] });
    // @ts-expect-error -- the state is missing
    void createWorker<{ mailer: Mailer }>({ tasks: [sendEmail] });
    // @ts-expect-error -- there is no mailer
    void createWorker({ tasks: [sendEmail], state: { folder: "old" } });
    // @ts-expect-error -- there is nothing
    void createWorker({ tasks: [sendEmail], state: {} });
    // @ts-expect-error -- there is no folder
    void createWorker({ tasks: [sendEmail, archive], state: { mailer } });
    // @ts-expect-error -- a number is needed
    void createWorker({ tasks: [count], state: "5" });
  });
});
