import { describe, expect, it } from "vitest";
import { defineTask } from "../job/task.ts";
import { readWorkerOptions } from "./options.ts";

const tasks = ["render", "mail"].map((identifier) => defineTask({ identifier, run() {} }));
const read = (taskConcurrency: unknown) =>
  readWorkerOptions({ tasks, taskConcurrency: taskConcurrency as Record<string, number> }).taskConcurrency;

describe("taskConcurrency", () => {
  it("says how many jobs of a task run at once", () => {
    expect(read({ render: 2, mail: undefined })).toEqual(new Map([["render", 2]]));
    expect([read(undefined), read({})]).toEqual([undefined, undefined]);
  });

  it.each([
    [{ render: 0 }, "Worker option `taskConcurrency.render` must be a whole number of at least 1, found 0."],
    [{ render: 1.5 }, "Worker option `taskConcurrency.render` must be a whole number of at least 1, found 1.5."],
    [2, "Worker option `taskConcurrency` must be an object with a number for each task, found 2."],
    [
      { rendr: 2 },
      "Worker option `taskConcurrency` limits the task `rendr`, which this worker does not run, did you mean `render`?",
    ],
  ])("refuses %o", (given, message) => {
    expect(() => read(given)).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_INVALID", message }));
  });
});
