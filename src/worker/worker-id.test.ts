import { expect, it } from "vitest";
import { createWorkerId } from "./worker-id.ts";

it("makes ids of 25 characters that do not repeat", () => {
  const ids = Array.from({ length: 1_000 }, () => createWorkerId());
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^howdah_[0-9a-f]{18}$/);
});

it("tells ids that are registered from those that are not", () => {
  expect(createWorkerId(false)).toMatch(/^howdah-[0-9a-f]{18}$/);
});
