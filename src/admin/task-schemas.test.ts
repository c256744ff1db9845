import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { defineBatchTask, defineTask } from "../job/task.ts";
import { TaskSchemas } from "./task-schemas.ts";

const run = (): void => undefined;
const runBatch = run;

const schemas = new TaskSchemas([
  defineTask({ identifier: "zod", payload: z.object({ to: z.email(), copies: z.int().default(1) }), run }),
  defineTask({ identifier: "arktype", payload: type({ to: "string" }), run }),
  defineTask({ identifier: "valibot", payload: v.object({ to: v.string() }), run }),
  defineTask({ identifier: "odd", payload: z.object({ when: z.date() }), run }),
  defineTask({ identifier: "plain", run }),
  defineBatchTask({ identifier: "batch", item: z.string(), runBatch }),
]);

describe("the payload of a task as JSON Schema", () => {
  it("is what is added, not what the handler gets", () => {
    expect(schemas.jsonSchemaOf("zod")).toMatchObject({
      type: "object",
      properties: { to: { type: "string", format: "email" }, copies: { type: "integer", default: 1 } },
      required: ["to"],
    });
    expect(schemas.jsonSchemaOf("arktype")).toMatchObject({ properties: { to: { type: "string" } }, required: ["to"] });
  });

  it("of a batch is a list of its items", () => {
    expect(schemas.jsonSchemaOf("batch")).toMatchObject({ type: "array", minItems: 1, items: { type: "string" } });
  });

  it.each(["valibot", "odd", "plain", "unknown"])(
    "is not known of a task that has none, or one in another form: %s",
    (name) => {
      expect(schemas.jsonSchemaOf(name)).toBeUndefined();
    },
  );
});
