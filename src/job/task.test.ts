import { expect, it } from "vitest";
import { defineTasks } from "./task.ts";

it("defineTasks makes a task of each handler, under its name", async () => {
  const ran: unknown[] = [];
  const tasks = defineTasks({
    send_email: (payload: { to: string }) => void ran.push(payload.to),
    async tidy() {},
  });
  expect(tasks).toMatchObject([
    { kind: "single", identifier: "send_email" },
    { kind: "single", identifier: "tidy" },
  ]);
  const [first] = tasks;
  if (first && "run" in first) await first.run({ to: "ada" }, {} as never);
  expect(ran).toEqual(["ada"]);
});

it.each([
  [[], "Tasks options must be an object with handlers"],
  [undefined, "Tasks options must be an object with handlers"],
  [{ t: 1 }, 'Task "t" option `run` must be a function'],
  [{ "": () => {} }, "Task option `identifier` must be a text"],
])("defineTasks refuses %o", (handlers, message) => {
  expect(() => defineTasks(handlers as never)).toThrow(message);
});
