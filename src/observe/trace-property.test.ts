import { describe, expect, it } from "vitest";
import { readTraces, toTraceProperty, withoutTraces } from "./trace-property.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const carried = { flags: 1, trace_id: traceId, span_id: spanId };
const link = { context: { traceId, spanId, traceFlags: 1, isRemote: true } };

describe("the trace in a payload", () => {
  it("is that of a valid span (behaviours 14)", () => {
    expect(toTraceProperty({ traceId, spanId, traceFlags: 1 })).toEqual(carried);
    expect(toTraceProperty({ traceId: "0".repeat(32), spanId, traceFlags: 1 })).toBeUndefined();
  });

  it.each([
    ["an object", { n: 1, _trace: carried }, [link]],
    ["the items of a list, each span once", [{ _trace: carried }, 5, null, { _trace: carried }, {}], [link]],
    ["nothing else", "text", []],
  ])("is read from %s", (_, payload, links) => {
    expect(readTraces(payload)).toEqual(links);
  });

  it.each([
    null,
    "text",
    [],
    {},
    { ...carried, trace_id: 5 },
    { ...carried, trace_id: "x".repeat(32) },
    { ...carried, span_id: "0".repeat(16) },
    { flags: 1 },
  ])("that is %o is none", (_trace) => {
    expect(readTraces({ _trace })).toEqual([]);
  });

  it.each([
    [257, 1],
    ["1", 0],
    [undefined, 0],
    [1.5, 0],
  ])("with the flags %o has the flags %i", (flags, traceFlags) => {
    expect(readTraces({ _trace: { ...carried, flags } })).toMatchObject([{ context: { traceFlags } }]);
  });

  it("makes no more links than backends keep", () => {
    const items = Array.from({ length: 500 }, (_, n) => ({
      _trace: { ...carried, span_id: (n + 1).toString(16).padStart(16, "0") },
    }));
    expect(readTraces(items)).toHaveLength(128);
  });

  it("is taken off again, and the rest is left as it is", () => {
    const untouched = { n: 1, deep: { _trace: carried } };
    expect(withoutTraces(untouched)).toBe(untouched);
    expect(withoutTraces({ _trace: carried, n: 1 })).toEqual({ n: 1 });
    expect(withoutTraces([{ _trace: "whatever" }, [{ _trace: carried }], "text"])).toEqual([
      {},
      [{ _trace: carried }],
      "text",
    ]);
    expect(withoutTraces(null)).toBeNull();
  });
});
