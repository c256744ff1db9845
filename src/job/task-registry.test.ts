import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { defineBatchTask, defineTask, type AnyTask } from "./task.ts";
import { createTaskRegistry } from "./task-registry.ts";

const run = (): void => undefined;

describe("a task registry", () => {
  it("finds tasks by their identifiers", () => {
    const mail = defineTask({ identifier: "send_email", run, timeout: "5s", retry: { type: "fixed", delay: 7 } });
    const batch = defineBatchTask({ identifier: "index", item: z.number(), runBatch: run });
    const registry = createTaskRegistry([mail, batch]);
    expect(registry.identifiers).toEqual(["send_email", "index"]);
    expect(registry.find("send_email")).toMatchObject({ task: mail, timeoutMs: 5000, schema: undefined });
    expect(registry.get("send_email").retry({} as never)).toBe(7);
    expect(registry.get("index")).toMatchObject({ task: batch, timeoutMs: undefined, schema: batch.item });
    expect(registry.find("toString")).toBeUndefined();
  });

  it("passes faults of retry policies on", () => {
    const faults: unknown[] = [];
    const retry = (): never => {
      throw new Error("no");
    };
    const registry = createTaskRegistry([defineTask({ identifier: "a", run, retry })], {
      onFault: (error) => faults.push(error),
    });
    expect(registry.get("a").retry({ attempts: 1 } as never)).toBe(2718);
    expect(faults).toEqual([new Error("no")]);
  });

  it.each([
    ["zod", z.string()],
    ["valibot", v.string()],
    ["arktype", type("string")],
  ])("takes schemas of %s", (_library, payload) => {
    const task: AnyTask = { kind: "single", identifier: "a", payload, run };
    expect(createTaskRegistry([task]).get("a").schema).toBe(payload);
  });

  it("takes a task that is an instance of a class", () => {
    class Mail {
      readonly kind = "single";
      readonly identifier = "mail";
      run(): void {}
    }
    const mail = new Mail();
    expect(createTaskRegistry([mail]).get("mail").task).toBe(mail);
  });

  it("suggests the identifier that was meant", () => {
    const registry = createTaskRegistry([defineTask({ identifier: "send_email", run })]);
    expect(() => registry.get("sendEmail")).toThrow(
      expect.objectContaining({
        code: "HOWDAH_TASK_UNKNOWN",
        message: "There is no task `sendEmail` here, did you mean `send_email`?",
      }),
    );
    expect(() => createTaskRegistry([]).get("x")).toThrow("There is no task `x` here.");
  });

  it("refuses two tasks with one identifier", () => {
    const task = defineTask({ identifier: "send_email", run });
    expect(() => createTaskRegistry([task, { ...task }])).toThrow(
      expect.objectContaining({
        code: "HOWDAH_TASK_DUPLICATE",
        message: 'Two tasks have the identifier "send_email".',
      }),
    );
  });

  it.each(["x".repeat(128), "🐘".repeat(128), " ", "send email:v2/ü"])("takes the identifier %j", (identifier) => {
    expect(createTaskRegistry([defineTask({ identifier, run })]).identifiers).toEqual([identifier]);
  });

  it.each(["", "x".repeat(129), "🐘".repeat(129), "a\0b", "a\uD800", 5, undefined, null])(
    "refuses the identifier %j",
    (identifier) => {
      expect(() => createTaskRegistry([defineTask({ identifier: identifier as string, run })])).toThrow(
        expect.objectContaining({
          code: "HOWDAH_OPTION_INVALID",
          message: expect.stringMatching(/^Task option `identifier` must be a text of 1 to 128 characters/),
        }),
      );
    },
  );

  const a = { kind: "single", identifier: "a", run };
  it.each([
    [{ ...a, timout: 5 }, 'Unknown task "a" option `timout`, did you mean `timeout`?'],
    [{ ...a, kind: undefined }, 'A task must be made by defineTask() or defineBatchTask(); "a" was not.'],
    [{ identifer: "a", run }, "A task must be made by defineTask() or defineBatchTask(); found an object"],
    [{ kind: "single", identifer: "a", run }, "Unknown task option `identifer`, did you mean `identifier`?"],
    [{ kind: "batch", name: "a", runBatch: run }, "Unknown task option `name`"],
    [{ ...a, run: undefined }, 'Task "a" option `run` is required.'],
    [{ ...a, run: "x" }, 'Task "a" option `run` must be a function, found "x".'],
    [{ ...a, kind: "batch" }, 'Unknown task "a" option `run`. Known: `kind`,'],
    [{ ...a, timeout: 0 }, 'Task "a" option `timeout` must be a duration of at least 1 ms, found 0.'],
    [{ ...a, retry: { type: "fixed" } }, 'Task "a" option `retry.delay` is required.'],
    [{ ...a, payload: {} }, 'Task "a" option `payload` must be a Standard Schema'],
    [{ ...a, defaults: 5 }, 'Task "a" option `defaults` must be an object or a function, found 5.'],
    [undefined, "A task must be made by defineTask() or defineBatchTask(); found undefined."],
    [run, "A task must be made by defineTask() or defineBatchTask(); found a function."],
  ])("refuses %o", (task, message) => {
    expect(() => createTaskRegistry([task as AnyTask])).toThrow(message);
  });

  it("refuses what is no list", () => {
    expect(() => createTaskRegistry({ a } as unknown as AnyTask[])).toThrow(
      "Worker option `tasks` must be a list of tasks, found an object.",
    );
  });
});
