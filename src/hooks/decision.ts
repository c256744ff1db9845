import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { storableText } from "../runtime/error-message.ts";
import { didYouMean } from "../runtime/suggestion.ts";
import type { InterceptorName } from "./interceptors.ts";

/** A decision of any interceptor, checked only as far as {@link checkDecision} says. */
export interface CheckedDecision {
  readonly action: string;
  readonly [key: string]: unknown;
}

type Check = (value: unknown) => string | undefined;

const text: Check = (value) => (typeof value === "string" ? undefined : "a string");
const object: Check = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? undefined : "an object";
const callback: Check = (value) => (typeof value === "function" ? undefined : "a function");
const date: Check = (value) => (value instanceof Date && !Number.isNaN(value.getTime()) ? undefined : "a valid Date");
const attempts: Check = (value) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 32_767
    ? undefined
    : "an integer from 0 to 32767";
const anything: Check = () => undefined;

interface Form {
  readonly required?: Readonly<Record<string, Check>>;
  readonly optional?: Readonly<Record<string, Check>>;
}

const SKIP: Form = {};
const FAIL: Form = { required: { message: text } };

/** What each interceptor may answer: the properties of each action. */
const FORMS: Readonly<Record<InterceptorName, Readonly<Record<string, Form>>>> = {
  beforeJobRun: { continue: { optional: { payload: anything, within: callback } }, skip: SKIP, fail: FAIL },
  afterJobRun: { skip: SKIP, fail: FAIL },
  beforeJobSchedule: {
    continue: { optional: { payload: anything, spec: object, attach: object } },
    skip: SKIP,
    fail: FAIL,
  },
  jobRecovery: {
    reschedule: { required: { runAt: date }, optional: { attempts } },
    fail: { optional: { message: text } },
    skip: SKIP,
  },
};

/**
 * The answer of an interceptor, if it is one of its decisions, with a message
 * that PostgreSQL can store. Throws `HOWDAH_HOOK_ANSWER_INVALID` for any other
 * answer.
 */
export function checkDecision(name: InterceptorName, answer: unknown): CheckedDecision {
  const forms = FORMS[name];
  const actions = Object.keys(forms);
  if (object(answer) !== undefined) {
    const allowed = actions.map((action) => `{ action: ${JSON.stringify(action)} }`).join(", ");
    throw invalid(name, `answered ${describeValue(answer)}; it has to answer nothing, or one of ${allowed}.`);
  }
  // Read once: it may have getters.
  const given: Readonly<Record<string, unknown>> = { ...(answer as object) };
  const { action } = given;
  const form = typeof action === "string" && Object.hasOwn(forms, action) ? forms[action] : undefined;
  if (typeof action !== "string" || form === undefined) {
    const hint = typeof action === "string" ? didYouMean(action, actions) : `. Known: ${actions.join(", ")}.`;
    throw invalid(name, `answered with the action ${describeValue(action)}${hint}`);
  }
  const allowed = { ...form.required, ...form.optional };
  for (const key of Object.keys(given)) {
    if (key !== "action" && !Object.hasOwn(allowed, key)) {
      const hint = didYouMean(key, Object.keys(allowed));
      throw invalid(name, `answered ${JSON.stringify(action)} with an unknown property \`${key}\`${hint}`);
    }
  }
  for (const [key, check] of Object.entries(allowed)) {
    const value = given[key];
    if (value === undefined && form.required?.[key] === undefined) continue;
    const expected = check(value);
    if (expected === undefined) continue;
    throw invalid(
      name,
      `answered ${JSON.stringify(action)} with \`${key}\` ${describeValue(value)}; it has to be ${expected}.`,
    );
  }
  const { message } = given;
  return { ...given, action, ...(typeof message === "string" ? { message: storableText(message) } : {}) };
}

function invalid(name: InterceptorName, what: string): HowdahError {
  return new HowdahError("HOWDAH_HOOK_ANSWER_INVALID", `The interceptor \`${name}\` ${what}`);
}
