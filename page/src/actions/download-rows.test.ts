import { expect, it } from "vitest";
import { job, jobRow } from "../../dev/fixtures.ts";
import { Api } from "../api/api.ts";
import { StandingClock } from "../clock.ts";
import { rowsOf } from "./download-rows.ts";

function apiOf(answers: Readonly<Record<string, unknown>>): Api {
  const fetch = async (input: string | URL | Request): Promise<Response> => {
    const path = String(input instanceof Request ? input.url : input).replace("https://example.com/", "");
    return path in answers ? Response.json(answers[path]) : Response.json({ detail: path }, { status: 404 });
  };
  return new Api({ url: "https://example.com/", fetch, clock: new StandingClock(0) });
}

it("keeps all pages of a filter, without payloads", async () => {
  const api = apiOf({
    "jobs?task=a&limit=500": { jobs: [jobRow(1), jobRow(2)], next: "x" },
    "jobs?task=a&after=x&limit=500": { jobs: [jobRow(3)], next: null },
  });
  const { lines, count } = await rowsOf(api, { action: "remove", filter: { task: "a" }, words: "" });
  expect(count).toBe(3);
  expect(
    lines
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { id: string }).id),
  ).toEqual(["1", "2", "3"]);
});

it("keeps jobs by their ids with their payloads", async () => {
  const { lines } = await rowsOf(apiOf({ "jobs/42": { job } }), { action: "remove", ids: ["42"], words: "" });
  expect(JSON.parse(lines)).toEqual(job);
});

it("rejects when a job cannot be read", async () => {
  await expect(rowsOf(apiOf({}), { action: "remove", ids: ["7"], words: "" })).rejects.toMatchObject({ kind: "gone" });
});
