import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toTimestamp } from "./run-at.ts";

describe("toTimestamp", () => {
  it("writes every valid Date from the year 1 on as the same instant", () => {
    const dates = fc.date({
      min: new Date("0001-01-01T00:00:00Z"),
      max: new Date("9999-12-31T23:59:59.999Z"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(dates, (date) => {
        expect(new Date(toTimestamp(date) ?? "")).toEqual(date);
      }),
    );
  });

  it("writes years of more than four digits as PostgreSQL reads them", () => {
    expect(toTimestamp(new Date(8.64e15))).toBe("275760-09-13T00:00:00.000Z");
    expect(toTimestamp(new Date("+012345-01-01T00:00:00Z"))).toBe("12345-01-01T00:00:00.000Z");
  });

  it.each([
    ["2030-01-31T08:00:00Z", "2030-01-31T08:00:00Z"],
    ["2030-01-31T08:00Z", "2030-01-31T08:00Z"],
    ["2030-01-31 08:00:00.123456+05:30", "2030-01-31 08:00:00.123456+05:30"],
    ["2030-01-31T08:00:00-08", "2030-01-31T08:00:00-08"],
    ["2030-01-31T08:00:00+0530", "2030-01-31T08:00:00+0530"],
    ["2028-02-29", "2028-02-29 00:00:00Z"],
  ])("takes %s", (text, written) => {
    expect(toTimestamp(text)).toBe(written);
  });

  it.each([
    "",
    "now",
    "tomorrow",
    "infinity",
    "epoch",
    "2030",
    "2030-1-1",
    "20300101T000000Z",
    "January 1, 2030",
    "2030-13-01",
    "2030-00-01",
    "2030-02-29",
    "2030-04-31",
    "2030-01-32",
    "0000-01-01",
    "+012345-01-01",
    "2030-01-01T24:00:00Z",
    "2030-01-01T08:60:00Z",
    "2030-01-01T08:00:60Z",
    "2030-01-01T08Z",
    "2030-01-01T08:00:00",
    "2030-01-01T08:00:00+16:00",
    "2030-01-01T08:00:00+05:60",
    "2030-01-01Z",
    "2030-01-01T08:00:00Z; drop table jobs",
    " 2030-01-01",
    "2030-01-01\n",
  ])("refuses %j", (text) => {
    expect(toTimestamp(text)).toBeUndefined();
  });

  it.each([[null], [0], [1e12], [true], [{}], [new Date(Number.NaN)], [new Date("-000001-01-01T00:00:00Z")]])(
    "refuses %s, which is no text and no date that PostgreSQL can hold",
    (value) => {
      expect(toTimestamp(value)).toBeUndefined();
    },
  );
});
