import { describe, expect, it } from "vitest";
import type { WorkerHealth } from "./health.ts";
import { healthHandler } from "./health-handler.ts";

const WELL: WorkerHealth = { live: true, ready: true, reasons: [] };
const AWAY: WorkerHealth = {
  live: true,
  ready: false,
  reasons: [{ check: "database", effect: "not ready", message: "It is away." }],
};
const STUCK: WorkerHealth = { live: false, ready: false, reasons: [] };

function probe(worker: Parameters<typeof healthHandler>[0], url: string | undefined) {
  const answered: unknown[] = [];
  healthHandler(worker)(
    { url },
    { writeHead: (status) => void answered.push(status), end: (body) => void answered.push(JSON.parse(body)) },
  );
  return answered;
}

const source = (health: WorkerHealth) => ({ health: () => health });

describe("a handler of probes", () => {
  it.each<[string, string | undefined, WorkerHealth, number]>([
    ["ready", "/ready", WELL, 200],
    ["ready", "/health", AWAY, 503],
    ["ready without a path", undefined, AWAY, 503],
    ["live", "/health/live", AWAY, 200],
    ["live with a query", "/live/?verbose=1", AWAY, 200],
    ["live", "/live", STUCK, 503],
    ["ready", "/lively", STUCK, 503],
    ["ready with a query", "/ready?next=/live", AWAY, 503],
  ])("asks whether a worker is %s at %s", (_, url, health, status) => {
    expect(probe(source(health), url)).toEqual([status, health]);
  });

  it("answers for several workers when all are well", () => {
    expect(probe([source(WELL), source(AWAY)], "/ready")).toEqual([503, AWAY]);
    expect(probe([source(WELL), source(WELL)], "/ready")).toEqual([200, WELL]);
  });

  it("answers a request of the web", async () => {
    const { fetch } = healthHandler(source(AWAY));
    const answer = fetch(new Request("http://localhost:9000/health/ready"));
    expect(answer.status).toBe(503);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(await answer.json()).toEqual(AWAY);
    expect(fetch(new Request("http://localhost:9000/live")).status).toBe(200);
  });
});
