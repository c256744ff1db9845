import { expect, it } from "vitest";
import { StandingClock } from "../clock.ts";
import { address, Api } from "./api.ts";
import { EventStreamReader } from "./event-stream.ts";
import { Problem, problemOf } from "./problem.ts";

const URL_OF_API = "https://example.com/ops/api/v1/";

function apiOf(answer: (request: Request) => Response | Promise<Response>): { api: Api; asked: Request[] } {
  const asked: Request[] = [];
  const fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    asked.push(request);
    return answer(request);
  };
  return { api: new Api({ url: URL_OF_API, fetch, clock: new StandingClock(0) }), asked };
}

it("asks below the path that the page is served from", async () => {
  const { api, asked } = apiOf(() => Response.json({ id: "42" }));
  expect(await api.get("jobs/42", { a: "x y", b: undefined, c: "", d: false })).toEqual({ id: "42" });
  expect(asked[0]?.url).toBe(`${URL_OF_API}jobs/42?a=x+y&d=false`);
});

it("sends a change as JSON with the header that no foreign page can send", async () => {
  const { api, asked } = apiOf(() => Response.json({}));
  await api.post("queues/mail/pause", { until: null });
  const [request] = asked;
  expect([request?.method, request?.headers.get("x-howdah-request"), await request?.json()]).toEqual([
    "POST",
    "1",
    { until: null },
  ]);
});

it("sends a token when it has one", async () => {
  const { api, asked } = apiOf(() => Response.json({}));
  api.token = "t0ken";
  await api.get("session");
  expect(asked[0]?.headers.get("authorization")).toBe("Bearer t0ken");
});

it.each([
  [401, "", "unauthorised"],
  [403, "HOWDAH_ADMIN_READ_ONLY", "forbidden"],
  [404, "", "gone"],
  [400, "HOWDAH_OPTION_INVALID", "refused"],
  [503, "HOWDAH_QUERY_TIMEOUT", "slow"],
  [503, "", "unreachable"],
  [504, "", "slow"],
  [500, "", "failed"],
] as const)("takes status %d with code %s as %s", (status, code, kind) => {
  expect(problemOf(status, { title: "T", detail: "D.", code })).toMatchObject({ kind, message: "D.", code, status });
});

it("says something of an answer that is no problem document", async () => {
  const { api } = apiOf(() => new Response("<html>", { status: 500, headers: { "content-type": "text/html" } }));
  await expect(api.get("session")).rejects.toMatchObject({ message: "The server answered with status 500." });
});

it("rejects with a problem when no answer comes", async () => {
  const { api } = apiOf(() => Promise.reject(new TypeError("fetch failed")));
  await expect(api.get("session")).rejects.toBeInstanceOf(Problem);
  await expect(api.get("session")).rejects.toMatchObject({ kind: "unreachable" });
});

it("leaves out conditions that are empty", () => {
  expect([address("jobs", {}), address("jobs", { q: "", n: 0 })]).toEqual(["jobs", "jobs?n=0"]);
});

it("reads events wherever the stream is cut", () => {
  const text = ": hello\n\nevent: overview\nid: 7\ndata: {\"a\":\ndata: 1}\n\ndata: x\r\n\r\n";
  for (let cut = 0; cut <= text.length; cut += 1) {
    const reader = new EventStreamReader();
    expect([...reader.push(text.slice(0, cut)), ...reader.push(text.slice(cut))]).toEqual([
      { event: "overview", id: "7", data: '{"a":\n1}' },
      { event: "message", id: undefined, data: "x" },
    ]);
  }
});
