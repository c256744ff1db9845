import { describe, expect, it } from "vitest";
import type { Client } from "../client/client.ts";
import { passToNextJob } from "./passing-time.ts";

describe("the time to the next job", () => {
  it("is found among more jobs than a function takes arguments", async () => {
    const pages = 200;
    const page = Array.from({ length: 1_000 }, (_, index) => ({ id: String(index), runAt: new Date(60_000) }));
    let moved = 0;
    const client = {
      listJobs: ({ after = "0" }: { after?: string }) =>
        Promise.resolve({ jobs: page, next: Number(after) + 1 < pages ? String(Number(after) + 1) : undefined }),
      stats: () => Promise.resolve({ scheduled: { asOf: new Date(0) } }),
      rescheduleJobs: (ids: string[]) => {
        moved += ids.length;
        return Promise.resolve([]);
      },
    } as unknown as Client;
    expect(await passToNextJob(client, 120_000)).toBe(60_000);
    expect(moved).toBe(pages * 1_000);
  });
});
