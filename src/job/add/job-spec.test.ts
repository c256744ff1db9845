import { describe, expect, it } from "vitest";
import { checkJobSpec } from "./job-spec.ts";

describe("the delay `runIn`", () => {
  it.each([
    ["5m", "+300000 milliseconds"],
    [0, "+0 milliseconds"],
    ["1.5s", "+1500 milliseconds"],
    ["5217w", "+3155241600000 milliseconds"],
  ])("%j is %s", (runIn, written) => {
    expect(checkJobSpec({ runIn }, "job `t`").runAt).toBe(written);
  });

  it.each([-1, "5 minutes", "", null, new Date(), "5300w", Number.NaN, "-5m"])("refuses %j", (runIn) => {
    expect(() => checkJobSpec({ runIn }, "job `t`")).toThrow(
      expect.objectContaining({
        code: "HOWDAH_JOB_INVALID",
        message: expect.stringMatching(
          /^`runIn` of job `t` is .+; it has to be a duration such as "5m", of at most 100 years\.$/,
        ),
      }),
    );
  });

  it("is not given together with `runAt`", () => {
    expect(() => checkJobSpec({ runIn: "5m", runAt: new Date() }, "job `t`")).toThrow(
      "`runAt` and `runIn` of job `t` are both given; one of them says when it runs.",
    );
  });

  it.each(["5m", 5000])("is what is meant by a `runAt` of %j", (runAt) => {
    expect(() => checkJobSpec({ runAt }, "job `t`")).toThrow(/; a delay is called `runIn`\.$/);
  });
});
