import { toProblem } from "../api/problem.ts";
import type { Page } from "../page.ts";

/** A change that needs no preview. */
export interface Act<T> {
  /** The path of the API. */
  readonly path: string;
  readonly body?: unknown;
  /** What to say when it is done. */
  readonly says: string | ((answer: T) => string);
  /** What has to be read again. */
  readonly reloads?: readonly string[];
  /** What takes it back. */
  readonly undo?: Act<unknown> | undefined;
}

/** Does it and says what became of it; resolves with the answer, or undefined when it failed. Never rejects. */
export async function act<T>(page: Page, { path, body, says, reloads = [], undo }: Act<T>): Promise<T | undefined> {
  try {
    const answer = await page.api.post<T>(path, body ?? {});
    page.say(typeof says === "string" ? says : says(answer), undo && (() => void act(page, undo)));
    return answer;
  } catch (error) {
    page.say(`Not done: ${toProblem(error).message}`);
    return undefined;
  } finally {
    for (const path of reloads) page.resource(path).reload();
  }
}
