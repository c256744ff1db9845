import { expect, it } from "vitest";
import { readOptions } from "../runtime/options.ts";
import { FILTER_OPTIONS, toFilter } from "./job-filter.ts";

const read = (filter: unknown) => toFilter(readOptions("listJobs", filter, FILTER_OPTIONS));

it.each([undefined, Number.NaN, Number.POSITIVE_INFINITY, Symbol("x"), () => 1])(
  "refuses a payload in which JSON would leave %j out or change it",
  (lost) => {
    expect(() => read({ payload: { account: lost } })).toThrow(/`payload` must be a value that JSON can hold/);
    expect(() => read({ payload: { accounts: [lost] } })).toThrow(/`payload` must be/);
  },
);

it("takes a payload with a text that looks like an escape, and none that PostgreSQL cannot store", () => {
  expect(read({ payload: { path: String.raw`C:\u0000` } })).toEqual({ payload: String.raw`{"path":"C:\\u0000"}` });
  for (const text of ["\0", "\\\0", "\ud800"]) expect(() => read({ payload: [text] })).toThrow(/`payload` must be/);
});

it.each(["task", "queueName", "jobKey", "error"])("refuses a %s that PostgreSQL cannot store", (name) => {
  for (const text of ["a\0", "\udc00"]) expect(() => read({ [name]: text })).toThrow(/that PostgreSQL can store/);
  expect(read({ [name]: String.raw`%_\'"` })).toEqual({ [name]: String.raw`%_\'"` });
});

it("takes times of failures for jobs that failed for good only", () => {
  const failedSince = "2030-01-31T08:00:00.000Z";
  expect(read({ failedSince })).toEqual({ failedSince: expect.any(String), state: "failed" });
  expect(read({ failedUntil: failedSince, state: "failed" })).toMatchObject({ state: "failed" });
  expect(() => read({ failedSince, state: "ready" })).toThrow(
    /go with jobs that failed for good, not with the state "ready"/,
  );
  expect(() => read({ failedSince: "soon" })).toThrow(/`failedSince` must be a valid Date/);
});
