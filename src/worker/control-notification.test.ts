import { describe, expect, it } from "vitest";
import { readControlNotification } from "./control-notification.ts";

describe("a notification on the control channel", () => {
  it("names the worker whose jobs were cancelled, and them", () => {
    const payload = JSON.stringify({ schema: "howdah", worker: "w", cancelled: ["1", "9223372036854775807"] });
    expect(readControlNotification(payload, "howdah")).toEqual({
      workerId: "w",
      jobIds: ["1", "9223372036854775807"],
    });
  });

  it("without a worker is about pauses", () => {
    expect(readControlNotification('{"schema":"howdah"}', "howdah")).toEqual({ workerId: undefined, jobIds: [] });
  });

  it.each(["", "null", "[]", "x", '{"schema":"other"}', "{}"])("that says %j is not for this schema", (payload) => {
    expect(readControlNotification(payload, "howdah")).toBeNull();
  });

  it("of another application loses what would fail a statement", () => {
    const payload = JSON.stringify({
      schema: "howdah",
      worker: 5,
      cancelled: [1, "x", "-1", "9223372036854775808", "1e3", null, "99999999999999999999", "12"],
    });
    expect(readControlNotification(payload, "howdah")).toEqual({ workerId: undefined, jobIds: ["12"] });
    expect(readControlNotification('{"schema":"howdah","cancelled":"12"}', "howdah")?.jobIds).toEqual([]);
  });
});
