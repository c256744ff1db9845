import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { START } from "../../postgres/position.ts";
import { readNotification } from "./notification.ts";

const read = (value: unknown) => readNotification(JSON.stringify(value), "howdah");

describe("readNotification", () => {
  it("reads what Howdah says", () => {
    const payload = '{"r":0.5,"count":3,"schema":"howdah","at":1767225600000001,"queues":[4,9]}';
    expect(readNotification(payload, "howdah")).toEqual({ count: 3, at: "1767225600000001", queueIds: [4, 9] });
  });

  it("reads which jobs it is about when it names all of them and no queue", () => {
    expect(read({ count: 2, at: 5, queues: [], ids: [7, 8] })).toMatchObject({ count: 2, jobIds: ["7", "8"] });
  });

  it.each([
    ["fewer than it counts", { count: 2, ids: [7] }],
    ["queues beside them", { count: 1, ids: [7], queues: [3] }],
    ["none", { count: 1, ids: [] }],
    ["something else", { count: 1, ids: "7" }],
    ["what is no id", { count: 1, ids: [-7] }],
    ["an id that JSON.parse cannot hold", { count: 1, ids: [2 ** 60] }],
  ])("takes no ids when it names %s", (_, said) => {
    expect(read(said)?.jobIds).toBeUndefined();
  });

  it("ignores other schemas", () => {
    expect(read({ count: 1, schema: "other" })).toBeNull();
  });

  it("takes a notification without a schema for its own, as other implementations send none", () => {
    expect(read({ r: 0.1, count: 1 })).toEqual({ count: 1, at: undefined, queueIds: [] });
  });

  it.each(["", "null", "[]", "7", '"x"', "{", "{}", '{"count":"many"}'])("counts %j as one job", (payload) => {
    expect(readNotification(payload, "howdah")).toEqual({ count: 1, at: undefined, queueIds: [] });
  });

  it.each([0, -1, -0.5])("ignores a count of %d, which takes jobs away", (count) => {
    expect(read({ count })).toBeNull();
  });

  it("takes a time that JSON.parse cannot hold for the beginning of time", () => {
    const payload = '{"count":1,"at":-9223372036854775808}';
    expect(readNotification(payload, "howdah")?.at).toBe(START.at);
    expect(readNotification('{"count":1,"at":9223372036854775807}', "howdah")?.at).toBeUndefined();
  });

  it.each([1.5, "1767225600000001", "1e3", null, {}])("does not believe a time of %j", (at) => {
    expect(read({ count: 1, at })?.at).toBeUndefined();
  });

  it("leaves out queue ids that no queue can have", () => {
    const queues = [1, 0, -1, 2.5, "3", null, 2_147_483_647, 2_147_483_648, 1e300];
    expect(read({ count: 1, queues })?.queueIds).toEqual([1, 2_147_483_647]);
    expect(read({ count: 1, queues: { 0: 1 } })?.queueIds).toEqual([]);
  });

  it("answers any text with something a claim can be sent with", () => {
    const value = fc.oneof(
      fc.string(),
      fc.jsonValue().map((json) => JSON.stringify(json)),
    );
    const field = fc.oneof(fc.jsonValue(), fc.double(), fc.maxSafeInteger());
    const said = fc.record({ count: field, at: field, queues: fc.array(field) }, { requiredKeys: [] });
    fc.assert(
      fc.property(
        fc.oneof(
          value,
          said.map((fields) => JSON.stringify(fields)),
        ),
        (payload) => {
          const notification = readNotification(payload, "howdah");
          if (!notification) return;
          expect(notification.count).toBeGreaterThan(0);
          expect(notification.at ?? "0").toMatch(/^-?\d{1,19}$/);
          for (const id of notification.queueIds ?? []) expect(id >= 1 && id < 2 ** 31).toBe(true);
        },
      ),
    );
  });
});
