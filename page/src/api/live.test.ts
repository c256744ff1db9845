import { expect, it } from "vitest";
import { StandingClock } from "../clock.ts";
import { Live } from "./live.ts";
import { Problem } from "./problem.ts";
import { Resource } from "./resource.ts";

const AS_OF = "2026-11-30T00:00:00.000Z";

class FakeServer {
  readonly opened: string[] = [];
  readonly signals: AbortSignal[] = [];
  stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  isDown = false;

  readonly open = (topics: readonly string[], signal: AbortSignal): Promise<ReadableStream<Uint8Array>> => {
    this.opened.push(topics.join());
    this.signals.push(signal);
    if (this.isDown) return Promise.reject(new Problem("unreachable", "down"));
    return Promise.resolve(new ReadableStream({ start: (controller) => void (this.stream = controller) }));
  };

  async send(topic: string, body: unknown): Promise<void> {
    const data = JSON.stringify({ topic, asOf: AS_OF, body });
    this.stream?.enqueue(new TextEncoder().encode(`event: update\nid: 1\ndata: ${data}\n\n`));
    await turn();
  }
}

/** Lets everything that is ready to run do so. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

function begin(): { clock: StandingClock; server: FakeServer; live: Live; heard: unknown[] } {
  const [clock, server, heard] = [new StandingClock(0), new FakeServer(), [] as unknown[]];
  return { clock, server, heard, live: new Live({ clock, open: server.open }) };
}

it("opens one stream for all topics, and another when they change", async () => {
  const { clock, server, live } = begin();
  const end = live.listen("overview", () => undefined);
  live.listen("doctor", () => undefined);
  clock.advance(50);
  expect(server.opened).toEqual(["doctor,overview"]);
  end();
  clock.advance(50);
  expect(server.opened).toEqual(["doctor,overview", "doctor"]);
  expect(server.signals.map(({ aborted }) => aborted)).toEqual([true, false]);
});

it("hands events to those that listen", async () => {
  const { clock, server, live, heard } = begin();
  live.listen("overview", (data) => heard.push(data));
  clock.advance(50);
  await turn();
  await server.send("overview", { a: 1 });
  await server.send("other", { b: 1 });
  expect(heard).toEqual([expect.objectContaining({ asOf: AS_OF, body: { a: 1 } })]);
  expect(live.state.value).toEqual({ kind: "live" });
});

it("asks for itself when no event comes within three seconds, until one does", async () => {
  const { clock, server, live, heard } = begin();
  live.listen("overview", (data) => heard.push(data));
  clock.advance(50 + 3_000);
  expect([live.state.value.kind, heard]).toEqual(["polling", [undefined]]);
  clock.advance(10_000);
  expect(heard).toHaveLength(3);
  await turn();
  await server.send("overview", 1);
  clock.advance(20_000);
  expect([live.state.value.kind, heard.length]).toEqual(["live", 4]);
});

it("closes the stream while the page is out of sight, and asks at once when it is back", async () => {
  const { clock, server, live, heard } = begin();
  live.listen("overview", (data) => heard.push(data));
  clock.advance(50);
  live.pause("hidden");
  clock.advance(60_000);
  expect([server.signals[0]?.aborted, live.state.value, heard]).toEqual([true, { kind: "paused", by: "hidden" }, []]);
  live.resume("hidden");
  expect([server.opened.length, heard]).toEqual([2, [undefined]]);
});

it("stays paused by a person when the page comes back", () => {
  const { clock, server, live } = begin();
  live.listen("overview", () => undefined);
  clock.advance(50);
  live.pause("person");
  live.pause("hidden");
  live.resume("hidden");
  expect([server.opened.length, live.state.value]).toEqual([1, { kind: "paused", by: "person" }]);
  live.resume("person");
  expect(server.opened).toHaveLength(2);
});

it("opens it again when it ends, later each time", async () => {
  const { clock, server, live } = begin();
  server.isDown = true;
  live.listen("overview", () => undefined);
  clock.advance(50);
  await turn();
  expect(live.state.value).toEqual({ kind: "down", retryAt: 1_050 });
  clock.advance(1_000);
  await turn();
  expect(live.state.value).toEqual({ kind: "down", retryAt: 3_050 });
  server.isDown = false;
  clock.advance(2_000);
  await turn();
  await server.send("overview", 1);
  expect([server.opened.length, live.state.value.kind]).toEqual([3, "live"]);
});

it("reads a resource once at a time, and only the newest request counts", async () => {
  const clock = new StandingClock(0);
  const answers: ((value: number) => void)[] = [];
  const resource = new Resource<number>(clock, () => new Promise((resolve) => answers.push(resolve)));
  resource.use();
  resource.load();
  resource.load();
  expect(answers).toHaveLength(1);
  resource.reload();
  answers[0]?.(1);
  await turn();
  expect(resource.state.value.kind).toBe("loading");
  answers[1]?.(2);
  await turn();
  expect(resource.state.value).toMatchObject({ kind: "ready", data: 2 });
});

it("tries again by itself while a view shows it, and not after that", async () => {
  const clock = new StandingClock(0);
  let asked = 0;
  const resource = new Resource<number>(clock, () => {
    asked += 1;
    return Promise.reject(new Problem("unreachable", "down"));
  });
  const end = resource.use();
  resource.load();
  await turn();
  clock.advance(1_000);
  await turn();
  expect([asked, resource.state.value]).toEqual([2, expect.objectContaining({ kind: "failed", retryAt: 3_000 })]);
  end();
  clock.advance(60_000);
  expect(asked).toBe(2);
});
