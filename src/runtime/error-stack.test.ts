import { describe, expect, it } from "vitest";
import { errorStack } from "./error-stack.ts";

describe("the stack of an error", () => {
  it("is there with those of its causes", () => {
    const cause = new Error("deep");
    const stack = errorStack(new Error("outer", { cause })) ?? "";
    expect(stack).toContain("Error: outer\n    at ");
    expect(stack).toContain("\ncaused by: Error: deep\n    at ");
    expect(stack).toContain("error-stack.test.ts");
  });

  it.each([
    ["text", "no"],
    ["nothing", undefined],
    ["an object", { stack: 7 }],
    ["a getter that throws", Object.defineProperty({}, "stack", { get: () => expect.unreachable() as string })],
    ["a revoked proxy", revoked()],
  ])("is left out for %s", (_, thrown) => {
    expect(errorStack(thrown)).toBeUndefined();
  });

  it("ends, whatever circle the causes make, and is not longer than it may be", () => {
    const error = new Error("round");
    error.cause = error;
    expect(errorStack(error)?.split("caused by").length).toBe(1);
    expect(errorStack(new Error("x".repeat(50_000)))).toHaveLength(10_000);
  });
});

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
