import { describe, expect, it } from "vitest";
import { toJobRecord } from "../postgres/queries/job-columns.ts";
import { checkJobId, checkJobIds, inOrderOf } from "./job-ids.ts";

describe("checkJobIds", () => {
  it("keeps the order and names each id once", () => {
    expect(checkJobIds(["3", "1", "3", "007"])).toEqual(["3", "1", "7"]);
    expect(checkJobId("9223372036854775807")).toBe("9223372036854775807");
  });

  it.each([["9223372036854775808"], ["-1"], ["1e3"], ["0x10"], [" 1"], [""], [1], [1n], [null], [undefined]])(
    "refuses %s",
    (id) => {
      expect(() => checkJobIds([id])).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }));
    },
  );
});

it("puts jobs into the order of the ids and leaves out ids without a job", () => {
  const job = (id: string) => toJobRecord([id, "t", null, "{}", "0", "0", "0", "25", null, "0", "0", null, "0"]);
  expect(inOrderOf(["5", "4", "3"], [job("3"), job("5")]).map(({ id }) => id)).toEqual(["5", "3"]);
});
