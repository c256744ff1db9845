import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WireTap } from "./wire-tap.ts";

function message(letter: string, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(letter, 0, "latin1");
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

/** A statement of N rows, as the server answers it. */
const answer = (rows: number, tag: string): Buffer[] => [
  message("T", "columns"),
  ...Array.from({ length: rows }, () => message("D", Buffer.from([0, 1, 0x5a, 0, 0, 0, 5, 0x49]))),
  message("C", `${tag}\0`),
];

describe("WireTap", () => {
  it.each<[string, Buffer[], Partial<WireTap>]>([
    ["nothing", [], { status: undefined, tag: "", rows: 0 }],
    ["a start", [message("R", "\0\0\0\0"), message("S", "a\0b\0"), message("Z", "I")], { status: "I", rows: 0 }],
    ["rows", [...answer(3, "SELECT 3"), message("Z", "I")], { status: "I", tag: "SELECT 3", rows: 3 }],
    [
      "the last of several",
      [...answer(3, "SELECT 3"), message("C", "INSERT 0 2\0"), message("Z", "T")],
      { status: "T", tag: "INSERT 0 2", rows: 0 },
    ],
    [
      "a failure after rows",
      [message("D", "row"), message("E", "SERROR\0\0"), message("Z", "E"), ...answer(1, "SELECT 1"), message("Z", "I")],
      { status: "I", tag: "SELECT 1", rows: 1 },
    ],
    ["an empty statement", [...answer(1, "SELECT 1"), message("I", ""), message("Z", "I")], { tag: "", rows: 0 }],
  ])("reads %s, however it is cut into pieces", (_what, messages, expected) => {
    const bytes = Buffer.concat(messages);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        const tap = new WireTap();
        const places = [0, ...cuts.toSorted((one, other) => one - other), bytes.length];
        places.slice(1).forEach((end, index) => tap.read(bytes.subarray(places[index], end)));
        expect(tap).toMatchObject(expected);
      }),
    );
  });
});
