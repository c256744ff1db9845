import { z } from "zod";

/** Gives a schema a name, under which the OpenAPI file has it. */
export function component<S extends z.ZodType>(id: string, description: string, schema: S): S {
  COMPONENTS.add(schema, { id, description });
  return schema;
}

/** The schemas that have a name. */
export const COMPONENTS = z.registry<{ id: string; description: string }>();

/** A time in ISO 8601, in UTC. */
export const Time = z.iso.datetime();

/** An id of the database, as digits: it may be larger than a number of JavaScript is exact. */
export const Id = z
  .string()
  .regex(/^\d{1,19}$/)
  .refine((digits) => !/^\d{1,19}$/.test(digits) || BigInt(digits) <= MAX_ID, "is larger than any id");

/** The largest id that PostgreSQL gives out. */
const MAX_ID = 9_223_372_036_854_775_807n;

/** A name of a task, queue, schedule or worker. */
export const Name = storable(z.string().min(1).max(512));

/** A text as PostgreSQL can store it: without NUL, and without halves of surrogate pairs. */
export function storable(text: z.ZodString): z.ZodString {
  return text.refine((given) => !/[\0\p{Surrogate}]/u.test(given), "has a character that PostgreSQL cannot store");
}

/** A whole number that is not negative. */
export const Whole = z.int().min(0);

/** A duration such as "5m", as the client takes it. */
export const DurationText = z
  .string()
  .max(30)
  .regex(/^\d{1,15}(?:\.\d{1,15})?(?:ms|s|m|h|d|w)$/) as unknown as z.ZodType<DurationText, DurationText>;
export type DurationText = `${number}${"ms" | "s" | "m" | "h" | "d" | "w"}`;

/** A number, and how good it is. */
export const CountView = component(
  "Count",
  "A number with its time. `exact` is false for an estimate, or for a count that ended at its limit.",
  z.object({ value: Whole, exact: z.boolean(), asOf: Time }),
);
export type CountView = z.infer<typeof CountView>;

const Milliseconds = z.number().nullable();

/** How long attempts waited and ran. */
export const TimesView = component(
  "Times",
  "How long attempts ran, and had waited since they were due: half, and 95 of 100, for less than this; a power of two. Null without an attempt, for runs of more than 16 s, and for waits of more than three days.",
  z.object({
    meanMs: Milliseconds,
    p50Ms: Milliseconds,
    p95Ms: Milliseconds,
    waitP50Ms: Milliseconds,
    waitP95Ms: Milliseconds,
  }),
);
export type TimesView = z.infer<typeof TimesView>;

/** How many jobs there are in each state. */
export const StateCountsView = component(
  "StateCounts",
  "How many jobs there are in each state.",
  z.object({ ready: CountView, scheduled: CountView, running: CountView, failed: CountView }),
);
export type StateCountsView = z.infer<typeof StateCountsView>;

/** What went wrong, as RFC 9457 has it. */
export const Problem = component(
  "Problem",
  "What went wrong (RFC 9457), as `application/problem+json`.",
  z.object({
    type: z.string().describe("A page that explains the code."),
    title: z.string().describe("The kind of problem, in a few words."),
    status: z.int(),
    detail: z.string().describe("What was found, what is allowed, and what to do."),
    code: z.string().describe("A code of Howdah, such as `HOWDAH_JOB_UNKNOWN`."),
    instance: z.string().optional().describe("The id of the request, which the log has too."),
    fields: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .describe("The parts of the request that are not as they must be."),
  }),
);
export type Problem = z.infer<typeof Problem>;

/** What a person may do: each role may do what the ones before it may. */
export const Role = component(
  "Role",
  "What a person may do; each role includes the one before it.",
  z.enum(["read", "operate", "admin"]),
);
export type Role = z.infer<typeof Role>;
