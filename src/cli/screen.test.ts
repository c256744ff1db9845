import { expect, it } from "vitest";
import { createScreen } from "./screen.ts";

class Stream {
  readonly isTTY = false;
  text = "";
  fail: (error: NodeJS.ErrnoException) => void = () => undefined;

  write(text: string): void {
    this.text += text;
  }

  on(_: "error", listener: (error: NodeJS.ErrnoException) => void): void {
    this.fail = listener;
  }
}

it("drops what is printed after the reader has gone, and tells once", () => {
  const stdout = new Stream();
  const stderr = new Stream();
  const screen = createScreen({ stdout, stderr });
  let told = 0;
  screen.onClosed(() => (told += 1));
  screen.print("first");
  const gone = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
  stdout.fail(gone);
  stdout.fail(gone);
  screen.print("second");
  screen.note("still here");
  expect({ out: stdout.text, error: stderr.text, told }).toEqual({ out: "first\n", error: "still here\n", told: 1 });
});

it("does not hide other errors of stdout", () => {
  const stdout = new Stream();
  createScreen({ stdout, stderr: new Stream() });
  const full = Object.assign(new Error("write ENOSPC"), { code: "ENOSPC" });
  expect(() => stdout.fail(full)).toThrow(full);
});
