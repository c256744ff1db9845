import { describe, expect, it } from "vitest";
import { HowdahError } from "../errors.ts";
import { poolerError } from "../postgres/pooler.ts";
import { describeFailure } from "./failure.ts";
import { createProgram } from "./program.ts";
import { createScreen } from "./screen.ts";

describe("describeFailure", () => {
  it("says the code, what was found and what to do, in one line", () => {
    const error = new HowdahError("HOWDAH_DATABASE_UNREACHABLE", "Could not reach it:\nECONNREFUSED");
    expect(describeFailure(error, {})).toEqual({
      text:
        "howdah: HOWDAH_DATABASE_UNREACHABLE: Could not reach it:\\nECONNREFUSED. " +
        "Is PostgreSQL running there? Check --database-url or DATABASE_URL.",
      exitCode: 1,
    });
  });

  it("asks whether a server runs only when none has answered", () => {
    const cause = Object.assign(new Error('database "x" does not exist'), { code: "3D000" });
    const error = new HowdahError("HOWDAH_DATABASE_UNREACHABLE", "Could not connect: no such database.", cause);
    expect(describeFailure(error, {}).text).toBe(
      "howdah: HOWDAH_DATABASE_UNREACHABLE: Could not connect: no such database.",
    );
  });

  it("says what there is on the command line to do about a transaction pooler", () => {
    const pooled = poolerError(Object.assign(new Error("gone"), { code: "26000" }));
    const { text } = describeFailure(pooled, {});
    expect(text).toMatch(
      /^howdah: HOWDAH_TRANSACTION_POOLER: .*: give --database-url one that leads past the pooler\.$/,
    );
  });

  it("calls options by the names that they have on the command line, and their misuse exit code 2", () => {
    const error = new HowdahError("HOWDAH_OPTION_INVALID", "Option `schema` is empty.");
    expect(describeFailure(error, {})).toEqual({
      text: "howdah: HOWDAH_OPTION_INVALID: Option --schema is empty.",
      exitCode: 2,
    });
  });

  it("passes on the SQLSTATE of an error of PostgreSQL", () => {
    const error = Object.assign(new Error("deadlock detected"), { code: "40P01" });
    expect(describeFailure(error, {}).text).toBe("howdah: 40P01: deadlock detected.");
  });

  it("prints no password, with the stack trace or without", () => {
    const error = new Error("cannot connect to postgresql://app:s3cret@db/x");
    for (const level of ["info", "debug"]) {
      const { text } = describeFailure(error, { HOWDAH_LOG: level });
      expect(text).not.toContain("s3cret");
      expect(text).toContain("postgresql://***@db/x");
      expect(text.includes("\n    at ")).toBe(level === "debug");
    }
  });

  it("prints no password of what was typed at the wrong place", async () => {
    const words = [
      ["postgresql://app:s3c@r/e?t@db/x"],
      ["list", "postgresql://app:s3c@r/e?t@db/x"],
      ["--database-urll=postgresql://app:s3c@r/e?t@db/x", "list"],
      ["list", "--pasword=s3c@r/e?t"],
      ["list", "--limit", "postgresql://app:s3c@r/e?t@db/x"],
    ];
    for (const typed of words) {
      const screen = createScreen(process);
      const error: unknown = await createProgram(screen)
        .parseAsync(["node", "howdah", ...typed])
        .catch((thrown: unknown) => thrown);
      const { text, exitCode } = describeFailure(error, {});
      expect({ text, exitCode }).toMatchObject({ text: expect.not.stringMatching(/s3c|e\?t/), exitCode: 2 });
    }
  });

  it("prints nothing that could colour or clear the terminal", () => {
    expect(describeFailure(new Error("\u001B[2J"), {}).text).toBe("howdah: \\u{1b}[2J.");
  });

  it("tells of anything that was thrown", () => {
    expect(describeFailure(null, {})).toEqual({ text: "howdah: Thrown was no error but null.", exitCode: 1 });
  });
});
