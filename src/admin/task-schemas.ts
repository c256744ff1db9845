import type { PayloadSchema } from "../job/schema.ts";
import type { AnyTaskDeclaration } from "../job/task-declaration.ts";

/** The tasks that the process of the admin API knows, and what their payloads must be. */
export class TaskSchemas {
  readonly #tasks: ReadonlyMap<string, AnyTaskDeclaration>;

  constructor(tasks: readonly AnyTaskDeclaration[]) {
    this.#tasks = new Map(tasks.map((task) => [task.identifier, task]));
  }

  /** The task with this identifier; `undefined` for one that is not known here. */
  find(identifier: string): AnyTaskDeclaration | undefined {
    return this.#tasks.get(identifier);
  }

  /**
   * The payload that a task takes, as JSON Schema; `undefined` for a task that is
   * not known, has no schema, or has one that cannot be written like this.
   */
  jsonSchemaOf(identifier: string): Readonly<Record<string, unknown>> | undefined {
    const task = this.#tasks.get(identifier);
    if (task === undefined) return undefined;
    if (task.kind === "single") return toJsonSchema(task.payload);
    const items = toJsonSchema(task.item);
    return items && { type: "array", minItems: 1, items };
  }
}

/** What Standard JSON Schema has beside a schema; zod and arktype have it, valibot through a package of its own. */
interface Convertible {
  readonly jsonSchema?: { readonly input?: (options: { readonly target: string }) => unknown } | undefined;
}

function toJsonSchema(schema: PayloadSchema | undefined): Readonly<Record<string, unknown>> | undefined {
  const standard = schema?.["~standard"] as Convertible | undefined;
  try {
    const found = standard?.jsonSchema?.input?.({ target: "draft-2020-12" });
    return typeof found === "object" && found !== null ? (found as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    // Some schemas have no form in JSON Schema, such as those with a transformation.
    return undefined;
  }
}
