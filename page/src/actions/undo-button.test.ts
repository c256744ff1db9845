import { expect, it } from "vitest";
import { Api } from "../api/api.ts";
import { StandingClock } from "../clock.ts";
import { undone } from "./undo-button.tsx";

const UNDO = {
  sentence: "Gives them their attempts back.",
  steps: [
    { action: "reschedule" as const, ids: ["1", "2"], to: { attempts: 3 } },
    { action: "reschedule" as const, ids: ["3"], to: { attempts: 25 } },
  ],
};

/** Takes the steps back one after another, with these answers. */
async function said(...answers: readonly Response[]): Promise<{ text: string; sent: unknown[] }> {
  const left = [...answers];
  const sent: unknown[] = [];
  const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
    sent.push(JSON.parse(init?.body as string));
    return left.shift() ?? Response.json({ detail: "The database is away." }, { status: 503 });
  };
  const api = new Api({
    url: "https://example.com/",
    fetch,
    clock: new StandingClock(0),
  });
  return { text: await undone({ api }, UNDO), sent };
}

const answer = (changed: string[], untouched: string[] = []) => Response.json({ changed, untouched, signalled: [] });

it("takes a change back step by step, and says how far that went", async () => {
  const whole = await said(answer(["1", "2"]), answer(["3"]));
  expect(whole).toEqual({ text: "Undone of 3 jobs.", sent: UNDO.steps });
  const part = await said(answer(["1"], ["2"]), answer(["3"]));
  expect(part.text).toBe("Undone of 2 jobs; 1 other had begun to run, or was gone.");
});

it("says when it could not go on", async () => {
  const { text } = await said(answer(["1", "2"]));
  expect(text).toBe("Undone of 2 jobs, then stopped: The database is away.");
});
