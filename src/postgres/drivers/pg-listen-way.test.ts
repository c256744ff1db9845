import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { PoolListenWay } from "./pg-listen-way.ts";
import type { PgPoolClient } from "./pg-pool.ts";

describe("a connection of a pool to listen on", () => {
  it("leaves nothing on the signal, whether one is taken or not", async () => {
    const client = { release: () => undefined } as unknown as PgPoolClient;
    const answers = [Promise.reject(new Error("unreachable")), Promise.resolve(client)];
    const way = new PoolListenWay({ take: () => answers.shift() ?? Promise.resolve(client) });
    const { signal } = new AbortController();
    await expect(way.connect(signal)).rejects.toThrow("unreachable");
    await way.connect(signal);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });
});
