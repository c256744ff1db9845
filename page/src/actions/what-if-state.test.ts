import { expect, it } from "vitest";
import { operationView, preview } from "../../dev/fixtures.ts";
import { Problem } from "../api/problem.ts";
import { actionsFor } from "./actions.ts";
import { readReschedule, readRetry } from "./reschedule.ts";
import { asksFirst, confirmOf, digits, firstState, mayBegin, nextWhatIf, type WhatIf } from "./what-if-state.ts";

const SHOWN = nextWhatIf({ kind: "previewing" }, { type: "previewed", preview });
const EXPIRED = new Problem("refused", "The preview has expired.", { status: 409 });

function typed(text: string, state: WhatIf = SHOWN): WhatIf {
  return nextWhatIf(state, { type: "typed", text });
}

it("asks for details first where there are some", () => {
  expect([firstState("retry").kind, firstState("reschedule").kind, asksFirst("cancel"), asksFirst("remove")]).toEqual([
    "previewing",
    "choosing",
    true,
    false,
  ]);
});

it("asks for the details of a retry only when a person wants them", () => {
  const choosing = nextWhatIf(SHOWN, { type: "reconsidered" });
  expect(choosing).toEqual({ kind: "choosing", problem: undefined });
  expect(nextWhatIf(choosing, { type: "chosen" }).kind).toBe("previewing");
  const starting = nextWhatIf(typed("6668"), { type: "confirmed" });
  expect(nextWhatIf(starting, { type: "reconsidered" })).toBe(starting);
});

it.each([
  [{}, { changes: {} }],
  [{ spread: "10 m" }, { changes: { again: { spread: "600000ms" } } }],
  [{ spread: "1h", attempts: "3" }, { changes: { again: { spread: "3600000ms", attempts: 3 } } }],
  [{ spread: "soon" }, { problem: '"soon" is no time such as 5m or 2h.' }],
  [{ attempts: "0" }, { problem: '"0" is no number of attempts.' }],
])("reads %o of a form of retrying", (given: Readonly<Record<string, string>>, read) => {
  expect(readRetry({ get: (name) => given[name] ?? null })).toEqual(read);
});

it("wants a large number typed, and takes it with or without separators", () => {
  expect([mayBegin(SHOWN), mayBegin(typed("6667")), mayBegin(typed("6668")), mayBegin(typed("6,668"))]).toEqual([
    false,
    false,
    true,
    true,
  ]);
  expect(digits(" 6 668")).toBe("6668");
});

it("needs nothing typed for a small number, and does nothing for none", () => {
  const small = { ...preview, confirm: null };
  const none = { ...small, matched: { ...preview.matched, value: 0 } };
  const shown = (answer: typeof small): WhatIf =>
    nextWhatIf({ kind: "previewing" }, { type: "previewed", preview: answer });
  expect([mayBegin(shown(small)), mayBegin(shown(none))]).toEqual([true, false]);
  expect([confirmOf(small), confirmOf(preview)]).toEqual([{}, { confirm: "6668" }]);
});

it("goes from the preview to the operation", () => {
  const starting = nextWhatIf(typed("6668"), { type: "confirmed" });
  expect(starting.kind).toBe("starting");
  const operation = operationView();
  expect(nextWhatIf(starting, { type: "begun", operation })).toEqual({ kind: "begun", operation });
});

it("does not begin without what was asked for, nor twice", () => {
  expect(nextWhatIf(SHOWN, { type: "confirmed" })).toBe(SHOWN);
  const starting = nextWhatIf(typed("6668"), { type: "confirmed" });
  expect(nextWhatIf(starting, { type: "confirmed" })).toBe(starting);
});

it("stays where it was when the server refuses, and says why", () => {
  const starting = nextWhatIf(typed("6668"), { type: "confirmed" });
  expect(nextWhatIf(starting, { type: "failed", problem: EXPIRED })).toMatchObject({
    kind: "shown",
    typed: "6668",
    problem: EXPIRED,
  });
  expect(nextWhatIf({ kind: "previewing" }, { type: "failed", problem: EXPIRED })).toMatchObject({ kind: "choosing" });
  const down = new Problem("unreachable", "The server cannot be reached.");
  expect(nextWhatIf({ kind: "previewing" }, { type: "failed", problem: down })).toEqual({
    kind: "refused",
    problem: down,
  });
});

it("leaves an answer aside that comes too late", () => {
  const begun: WhatIf = { kind: "begun", operation: operationView() };
  expect(nextWhatIf(begun, { type: "previewed", preview })).toBe(begun);
  expect(nextWhatIf(begun, { type: "failed", problem: EXPIRED })).toBe(begun);
});

it("offers what applies to jobs in these states", () => {
  expect(actionsFor(["failed"]).map(({ action }) => action)).toEqual(["retry", "reschedule", "complete", "remove"]);
  expect(actionsFor(["running"]).map(({ action }) => action)).toEqual(["cancel"]);
  expect(actionsFor([])).toHaveLength(6);
});

it.each([
  [{ runIn: "2 h" }, { changes: { to: { runIn: "7200000ms" } } }],
  [{ runIn: "now", priority: "-5" }, { changes: { to: { runIn: "0ms", priority: -5 } } }],
  [{ runAt: "2026-11-30T12:00:00Z" }, { changes: { to: { runAt: "2026-11-30T12:00:00.000Z" } } }],
  [{}, { problem: "Say what is to change." }],
  [{ runIn: "soon" }, { problem: '"soon" is no time such as 5m or 2h.' }],
  [{ maxAttempts: "many" }, { problem: '"many" is no whole number.' }],
  [{ runIn: "5m", runAt: "2026-11-30T12:00" }, { problem: "Say when by one of both: in how long, or at which time." }],
])("reads %o of a form of rescheduling", (given: Readonly<Record<string, string>>, read) => {
  expect(readReschedule({ get: (name) => given[name] ?? null })).toEqual(read);
});
