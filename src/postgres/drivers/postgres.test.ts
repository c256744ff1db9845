import { describe, expect, it } from "vitest";
import { postgresDriver } from "./postgres.ts";

describe("postgresDriver", () => {
  it.each(["postgresql://me:se%zzcret@host/db", "/run/postgresql db", "socket:/run?db=x"])(
    "refuses %s with a code, and says nothing of the password",
    (text) => {
      expect(() => postgresDriver(text)).toThrow(
        expect.objectContaining({ code: "HOWDAH_OPTION_INVALID", message: expect.not.stringContaining("cret") }),
      );
    },
  );
});
