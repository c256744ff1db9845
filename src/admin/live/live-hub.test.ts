import { beforeEach, describe, expect, it } from "vitest";
import { openStream, type TestStream } from "../../../test/harness/event-stream.ts";
import { createManualClock, type ManualClock } from "../../testing/manual-clock.ts";
import type { Principal } from "../principal.ts";
import { LiveHub } from "./live-hub.ts";

let clock: ManualClock;
let hub: LiveHub;
/** What each topic answers, and how often it was read. */
let values: Record<string, unknown>;
let reads: string[];
let tookMs: number;
let allowed: Principal | undefined;

beforeEach(() => {
  clock = createManualClock();
  values = {};
  reads = [];
  tookMs = 0;
  allowed = undefined;
  hub = new LiveHub(
    {
      answer: async (topic, { principal }) => {
        reads.push(topic);
        if (tookMs > 0) await clock.sleep(tookMs);
        const asOf = new Date(clock.now()).toISOString();
        const value = values[topic] ?? 0;
        if (value instanceof Error) return { asOf, problem: { ...PROBLEM, detail: value.message } };
        return { asOf, body: { asOf, value, for: principal.tasks ?? null } };
      },
    },
    clock,
    6,
  );
});

const PROBLEM = { type: "urn:x", title: "x", status: 503, code: "X" };
const ADA: Principal = { name: "ada", role: "read" };

/** Opens a stream as someone. */
function open(topics: string[], { principal = ADA, lastEventId = "" } = {}): Promise<TestStream> {
  const guard = {
    principal: async () => ((allowed ?? principal).name === "gone" ? undefined : (allowed ?? principal)),
  };
  const fetch = async (request: Request): Promise<Response> => {
    const asked = decodeURIComponent(request.url.split("topics=")[1] ?? "").split(",");
    return new Response(hub.open({ topics: asked, caller: { principal, requestId: "r" }, guard, lastEventId }));
  };
  return openStream({ fetch }, topics);
}

describe("a topic", () => {
  it("is read once for all who follow it, every two seconds, and not when they have left", async () => {
    const streams = await Promise.all([open(["a"]), open(["a"]), open(["a", "b"])]);
    for (const stream of streams) expect((await stream.next())?.data.topic).toBe("a");
    expect(reads).toEqual(["a", "b"]);
    values["a"] = 1;
    await clock.advance(2_000);
    expect(reads).toEqual(["a", "b", "a", "b"]);
    await streams[2]?.close();
    await clock.advance(2_000);
    expect(reads.slice(4)).toEqual(["a"]);
    await streams[0]?.close();
    await streams[1]?.close();
    await clock.advance(60_000);
    expect(reads).toHaveLength(5);
    expect(hub.streams).toBe(0);
  });

  it("is read apart for those who may see other things", async () => {
    const limited = { ...ADA, tasks: ["mail"] };
    const [all, some] = await Promise.all([open(["a"]), open(["a"], { principal: limited })]);
    expect((await all.next())?.data["body"].for).toBeNull();
    expect((await some.next())?.data["body"].for).toEqual(["mail"]);
    expect(reads).toEqual(["a", "a"]);
  });

  it("tells only its time when nothing has changed", async () => {
    const stream = await open(["a"]);
    const first = await stream.next();
    expect(first).toMatchObject({ event: "update", data: { topic: "a", body: { value: 0 } } });
    await clock.advance(2_000);
    const second = await stream.next();
    expect(second).toEqual({ id: undefined, event: "update", data: { topic: "a", asOf: "2026-01-01T00:00:02.000Z" } });
    values["a"] = 7;
    await clock.advance(2_000);
    expect((await stream.next())?.data["body"].value).toBe(7);
  });

  it("that takes long is read less often, up to every ten seconds", async () => {
    tookMs = 300;
    const stream = await open(["a"]);
    await clock.advance(300);
    await stream.next();
    await clock.advance(5_999);
    expect(reads).toHaveLength(1);
    await clock.advance(1);
    expect(reads).toHaveLength(2);
    tookMs = 5_000;
    await clock.advance(300 + 6_000 + 5_000 + 9_999);
    expect(reads).toHaveLength(3);
  });

  it("that cannot be read tells why, and is tried again", async () => {
    values["a"] = new Error("away");
    const stream = await open(["a"]);
    expect((await stream.next())?.data).toMatchObject({ topic: "a", problem: { detail: "away" } });
    values["a"] = 1;
    await clock.advance(10_000);
    expect((await stream.next())?.data).toMatchObject({ body: { value: 1 } });
  });
});

describe("a stream that is opened again", () => {
  it("goes on behind the last event that came, and tells no more than what changed since", async () => {
    const first = await open(["a", "b"]);
    const events = [await first.next(), await first.next()];
    await first.close();
    values["b"] = 1;
    const again = await open(["a", "b"], { lastEventId: events[1]?.id ?? "" });
    const next = await again.next();
    // Of `a` only the time, or nothing yet.
    const seen = [next, await again.next()].map((event) => [event?.data.topic, event?.data["body"]?.value]);
    expect(seen).toEqual(
      expect.arrayContaining([
        ["a", undefined],
        ["b", 1],
      ]),
    );
  });

  it.each(["", "nonsense", "000000000000-000000000000-99", "-1"])(
    "is told everything when the id %j is none of this process",
    async (lastEventId) => {
      await (await open(["a"])).next();
      const again = await open(["a"], { lastEventId });
      expect((await again.next())?.data["body"]).toMatchObject({ value: 0 });
    },
  );

  it("is told everything when it asks for other topics", async () => {
    const first = await open(["a", "b"]);
    const { id = "" } = (await first.next()) ?? {};
    await first.next();
    const again = await open(["b"], { lastEventId: id });
    expect((await again.next())?.data["body"]).toMatchObject({ value: 0 });
  });
});

describe("a stream", () => {
  it("has a comment every fifteen seconds", async () => {
    const stream = await open(["a"]);
    expect(await stream.block()).toMatch(/^retry: 3000\n: /);
    await stream.next();
    const reading = (async () => {
      for (;;) {
        const block = await stream.block();
        if (block === undefined || block.startsWith(":")) return block;
      }
    })();
    await clock.advance(15_000);
    expect(await reading).toBe(": still here");
  });

  it("ends when who asked for it may no longer see what they saw", async () => {
    for (const later of [
      { ...ADA, name: "gone" },
      { ...ADA, tasks: [] },
    ]) {
      allowed = undefined;
      const stream = await open(["a"]);
      await stream.next();
      allowed = later;
      await clock.advance(15_000);
      let event = await stream.next();
      while (event) event = await stream.next();
      expect(hub.streams).toBe(0);
    }
  });

  it("keeps nothing for a client that does not read but the newest of each topic, and ends after a minute", async () => {
    const stream = await open(["a"]);
    for (let value = 1; value <= 10; value += 1) {
      values["a"] = value;
      await clock.advance(2_000);
    }
    expect((await stream.next())?.data["body"].value).toBe(10);
    await stream.close();
    const silent = await open(["b"]);
    await clock.advance(120_000);
    expect(hub.streams).toBe(0);
    await silent.close();
  });

  it.each([[[]], [["live?topics=a"]], [["session"]], [["/a"]], [["1", "2", "3", "4", "5", "6", "7", "8", "9"]]])(
    "of %j is refused",
    async (topics) => {
      await expect(open(topics)).rejects.toMatchObject({ code: "HOWDAH_ADMIN_REQUEST_INVALID" });
    },
  );

  it("beyond as many as may be is refused, and beyond half of them when all are of one person", async () => {
    const others: readonly Principal[] = ["grace", "hedy"].map((name) => ({ name, role: "read" }));
    await Promise.all([open(["a"]), open(["b"]), open(["c"])]);
    await expect(open(["d"])).rejects.toMatchObject({
      code: "HOWDAH_ADMIN_BUSY",
      message: expect.stringContaining("3 live streams of yours"),
    });
    for (const [index, principal] of [others[0], others[1], others[1]].entries()) {
      await open([`${index}`], { principal: principal as Principal });
    }
    await expect(open(["d"], { principal: others[0] as Principal })).rejects.toMatchObject({
      code: "HOWDAH_ADMIN_BUSY",
      message: expect.stringContaining("6 live streams are open"),
    });
  });

  it("is not opened after the end", async () => {
    await open(["a"]);
    hub.close();
    expect(hub.streams).toBe(0);
    await expect(open(["a"])).rejects.toMatchObject({ code: "HOWDAH_CLIENT_CLOSED" });
  });
});
