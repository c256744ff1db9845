import type { PayloadOf } from "../job/add/job-entry.ts";
import type { AnyTaskDeclaration } from "../job/task-declaration.ts";
import { addedJobs, type AddedJobsSource, type AssertedJob } from "./added-jobs.ts";
import { reportAdded } from "./added-report.ts";

/**
 * Matchers for `expect.extend(howdahMatchers)` of vitest and jest. All of them
 * are asynchronous: `await expect(client).toHaveAdded(task, { payload })`.
 */
export const howdahMatchers = {
  /** Passes when jobs of `task` were added that are like `wanted`: at least one, or as many as its `times` says. */
  async toHaveAdded(
    source: AddedJobsSource,
    task: AnyTaskDeclaration | string,
    { times, ...wanted }: AssertedJob = {},
  ): Promise<MatcherResult> {
    const found = await addedJobs(source, { ...wanted, task });
    const pass = times === undefined ? found.length > 0 : found.length === times;
    const report = await reportAdded(source, task, { times: pass ? 0 : times, ...wanted });
    return { pass, message: () => report };
  },
};

/** What `expect(client)` gets by {@link howdahMatchers}: the types to merge into those of vitest or jest. */
export interface HowdahMatchers {
  /** Passes when jobs of `task` were added that are like `wanted`: at least one, or as many as its `times` says. */
  toHaveAdded<T extends AnyTaskDeclaration | string>(task: T, wanted?: AssertedJob<PayloadOf<T>>): Promise<void>;
}

/** What a matcher answers. */
export interface MatcherResult {
  readonly pass: boolean;
  /** Why it failed; with `.not`, why that did. */
  message(): string;
}
