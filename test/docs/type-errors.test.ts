import { describe, expect, it } from "vitest";
import { compile, type Complaint } from "./compile.ts";

/** A mistake, and what the compiler says about it: the whole text, where it is short enough to read. */
interface Mistake {
  readonly title: string;
  readonly code: string;
  readonly says: string | RegExp;
}

const GIVEN = `
  import { createWorker, defineBatchTask, defineTask, type Client, type JobContext } from "howdah";
  import { z } from "zod";
  declare const client: Client;
  const email = defineTask({ identifier: "email", run(_payload: { to: string; cc?: string }) {} });
  const resize = defineBatchTask({ identifier: "resize", runBatch(_items: { id: number }[]) {} });
  const store = defineTask({ identifier: "store", run(_payload: { n: number }, _context: JobContext<{ db: string }>) {} });
`;

const MISTAKES: readonly Mistake[] = [
  {
    title: "a payload with a property of another type",
    code: "client.addJob(email, { to: 1 });",
    says: "Type 'number' is not assignable to type 'string'.",
  },
  { title: "no payload", code: "client.addJob(email);", says: "Expected 2-3 arguments, but got 1." },
  {
    title: "a payload that lacks a property",
    code: "client.addJob(email, {});",
    says: /^Argument of type '\{\}' is not assignable to parameter of type '\{ to: string; .*\n {2}Property 'to' is missing/,
  },
  {
    title: "a misspelt option of a job",
    code: 'client.addJob(email, { to: "ada" }, { queuename: "q" });',
    says: "Object literal may only specify known properties, but 'queuename' does not exist in type 'JobSpec'. Did you mean to write 'queueName'?",
  },
  {
    title: "a property that the payload does not have",
    code: 'client.addJob(email, { to: "ada", bcc: "bob" });',
    says: "Object literal may only specify known properties, and 'bcc' does not exist in type '{ to: string; cc?: string | undefined; }'.",
  },
  {
    title: "items of another type",
    code: 'client.addBatchJob(resize, [{ id: "1" }]);',
    says: "Type 'string' is not assignable to type 'number'.",
  },
  {
    title: "a state with a property of another type",
    code: "createWorker({ tasks: [email, store], state: { db: 1 } });",
    says: "Type 'number' is not assignable to type 'string'.",
  },
  {
    title: "no state where a task needs one",
    code: "createWorker({ tasks: [email, store] });",
    says: /\n {2}Property 'state' is missing in type '\{ tasks: .*\}' but required in type '\{ readonly state: \{ db: string; \}; \}'\.$/,
  },
  {
    title: "a state that is empty",
    code: "createWorker({ tasks: [store], state: {} });",
    says: "Property 'db' is missing in type '{}' but required in type '{ db: string; }'.",
  },
  {
    title: "a misspelt option of a worker",
    code: "createWorker({ tasks: [email], concurency: 5 });",
    says: /^Object literal may only specify known properties, but 'concurency' does not exist .* Did you mean to write 'concurrency'\?$/,
  },
  {
    title: "a task with a misspelt name",
    code: 'defineTask({ identifer: "email", run() {} });',
    says: "Object literal may only specify known properties, but 'identifer' does not exist in type 'NewTask<unknown, unknown, unknown, void>'. Did you mean to write 'identifier'?",
  },
  {
    title: "a task with an option that there is not, beside a schema",
    code: 'defineTask({ identifier: "email", payload: z.object({ to: z.string() }), retries: 3, run({ to }) { to.trim(); } });',
    says: /^Object literal may only specify known properties, and 'retries' does not exist in type 'NewTask</,
  },
  {
    title: "a handler that reads what its schema does not give",
    code: 'defineTask({ identifier: "email", payload: z.object({ to: z.string() }), run({ too }) { void too; } });',
    says: "Property 'too' does not exist on type '{ to: string; }'.",
  },
];

describe("the compiler", () => {
  // One program for all of them: each further one would take as long.
  const module = [...GIVEN.split("\n"), ...MISTAKES.map(({ code }) => `void ${code}`)].join("\n");
  const firstLine = GIVEN.split("\n").length + 1;
  const complaints: readonly Complaint[] =
    compile(new Map([["docs/mistakes.ts", module]])).get("docs/mistakes.ts") ?? [];

  it.each(MISTAKES.map((mistake, index) => ({ ...mistake, line: firstLine + index })))(
    "says what is wrong with $title",
    ({ line, says }) => {
      const said = complaints.filter((complaint) => complaint.line === line).map(({ message }) => message);
      expect(said).toEqual([typeof says === "string" ? says : expect.stringMatching(says)]);
    },
  );

  it("finds nothing else", () => {
    expect(complaints.filter(({ line }) => line < firstLine)).toEqual([]);
  });
});
