import { describe, expect, it } from "vitest";
import { parseCrontab, readCrontab } from "./crontab.ts";
import { parseExpression } from "./expression.ts";

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n);
const only = (line: string) => {
  const [entry, ...others] = parseCrontab(line);
  expect(others).toEqual([]);
  return entry!;
};
const problem = (text: string): string => {
  const [{ line, column, message }] = readCrontab(text).problems as [{ line: number; column: number; message: string }];
  return `${line}:${column} ${message}`;
};

describe("a crontab", () => {
  it("has an entry a line: five fields and a task (behaviours 114)", () => {
    const entry = only("* * * * * simple");
    expect(entry).toEqual({
      id: "simple",
      task: "simple",
      schedule: "* * * * *",
      timeZone: "UTC",
      fill: 0,
      payload: {},
      spec: {},
    });
    const fields = parseExpression(entry.schedule);
    expect(fields.minute.values).toEqual(range(0, 59));
    expect(fields.hour.values).toEqual(range(0, 23));
    expect(fields.day.values).toEqual(range(1, 31));
    expect(fields.month.values).toEqual(range(1, 12));
    expect(fields.weekday.values).toEqual(range(0, 6));
    expect(fields.second.values).toEqual([0]);
  });

  it("takes options after the task (behaviours 117)", () => {
    expect(only("* * * * * task ?id=stuff&fill=4w3d2h1m&max=3&queue=my_queue&priority=3")).toMatchObject({
      id: "stuff",
      fill: 2_685_660_000,
      spec: { maxAttempts: 3, queueName: "my_queue", priority: 3 },
    });
  });

  it("takes both spellings of every option (behaviours 134, 136)", () => {
    expect(only("* * * * * t ?fill=4w3d2h1m&priority=-4")).toMatchObject({
      fill: 2_685_660_000,
      spec: { priority: -4 },
    });
    expect(only("* * * * * t ?id=1234dfsd&max=4")).toMatchObject({ id: "1234dfsd", spec: { maxAttempts: 4 } });
    for (const [key, mode] of [
      ["jobKey", "jobKeyMode"],
      ["job_key", "job_key_mode"],
    ]) {
      expect(only(`* * * * * t ?${key}=foo`).spec).toEqual({ jobKey: "foo" });
      for (const value of ["replace", "preserve_run_at"]) {
        expect(only(`* * * * * t ?${mode}=${value}&${key}=foo`).spec).toEqual({ jobKey: "foo", jobKeyMode: value });
      }
    }
    for (const key of ["timeZone", "time_zone", "tz"]) {
      expect(only(`* * * * * t ?${key}=Europe/Berlin`).timeZone).toBe("Europe/Berlin");
    }
  });

  it("takes a timeout for the attempts of its jobs", () => {
    expect(only("* * * * * t ?timeout=90s").spec).toEqual({ timeout: "90s" });
    expect(() => only("* * * * * t ?timeout=soon")).toThrow(/expected a duration such as `30s`.*found "soon"/);
  });

  it("takes flags, and values that are percent-encoded", () => {
    expect(only("* * * * * t ?flags=a,b&queue=two%20words").spec).toEqual({
      flags: ["a", "b"],
      queueName: "two words",
    });
  });

  it("takes the units of fill in any order, and adds them up", () => {
    for (const fill of ["1d12h", "12h1d", "36h", "35h3600s", "30h6h"]) {
      expect(only(`* * * * * t ?fill=${fill}`).fill).toBe(129_600_000);
    }
  });

  it("takes a payload in JSON5, with # in it, comments, empty lines and any spacing (behaviours 118, 133)", () => {
    const entries = parseCrontab(
      [
        "",
        "   # a comment",
        `  */5\t*   * * *    first   ?id=a    {text: "#no comment", other: '#1',}   `,
        "\t",
        '* * * * * second {onboarding:false,name:"Jean"} ',
        "* * * * * third {'single': 'quoted', trailing: [1, 2,], }",
      ].join("\r\n"),
    );
    expect(entries.map(({ id, payload }) => [id, payload])).toEqual([
      ["a", { text: "#no comment", other: "#1" }],
      ["second", { onboarding: false, name: "Jean" }],
      ["third", { single: "quoted", trailing: [1, 2] }],
    ]);
    expect(entries[0]?.schedule).toBe("*/5 * * * *");
  });

  it("takes tasks with slashes, colons and underscores (behaviours 120, 132)", () => {
    for (const task of ["nested/task", "nested/folder/task", "sendMail", "mail:send_one", "_private", "a.b-c"]) {
      expect(only(`* * * * * ${task}`).task).toBe(task);
    }
  });

  it("reads whole files of the other implementations (behaviours 129)", () => {
    const text = `# Weekly mail
30 4 * * 1 send_weekly_email
30 4,10-15 * * 1 send_weekly_email ?id=second&fill=2d&max=10 {onboarding:false}
# Roll up
0 */4 * * * rollup`;
    const entries = parseCrontab(text);
    expect(entries.map(({ id }) => id)).toEqual(["send_weekly_email", "second", "rollup"]);
    expect(entries[1]).toMatchObject({ fill: 172_800_000, spec: { maxAttempts: 10 }, payload: { onboarding: false } });
    expect(parseExpression(entries[1]!.schedule).hour.values).toEqual([4, ...range(10, 15)]);
    expect(parseExpression(entries[2]!.schedule).hour.values).toEqual([0, 4, 8, 12, 16, 20]);
  });

  it("takes seconds as a sixth field in front, and tells it from a task", () => {
    expect(only("*/10 * * * * * tick")).toMatchObject({ schedule: "*/10 * * * * *", task: "tick" });
    expect(only("0 30 8 * * mon-fri report")).toMatchObject({ schedule: "0 30 8 * * mon-fri", task: "report" });
    expect(only("30 8 * * * mon")).toMatchObject({ schedule: "30 8 * * *", task: "mon" });
    expect(only("30 8 * * * monday_report")).toMatchObject({ schedule: "30 8 * * *", task: "monday_report" });
    expect(only("30 8 * * * mon {a:1}")).toMatchObject({ task: "mon", payload: { a: 1 } });
  });

  it("may be empty", () => {
    expect(parseCrontab("")).toEqual([]);
    expect(parseCrontab("\uFEFF# nothing\n\n")).toEqual([]);
  });
});

describe("a mistake in a crontab", () => {
  it.each([
    [
      "* * * * too_few_parameters",
      "1:27 expected 5 fields and a task, found 5 words.",
      "a missing field (behaviours 121)",
    ],
    ["* * * * * *", "1:12 expected a task after the fields, found nothing.", "seconds without a task"],
    ["* * *", "1:6 expected 5 fields and a task, found 3 words.", "missing fields"],
    [
      "* * * * * two tasks",
      '1:15 expected ?options, a {payload} or the end of the line, found "tasks".',
      "two tasks (behaviours 122)",
    ],
    ["*/0 * * * * t", '1:3 expected a step from 1 to 59 in the minutes, found "0".', "a step of zero (behaviours 124)"],
    [
      "1 * * * * 0:send_email",
      '1:11 expected a task, which begins with a letter or `_`, found "0:send_email".',
      "a task that begins with a digit (behaviours 132, 137)",
    ],
    ["5-2 * * * * t", "1:1 the range 5-2 of the minutes ends before it begins.", "a range that runs backwards (S29)"],
    ["60 * * * * t", "1:1 60 is out of range for the minutes; expected 0 to 59.", "a value out of range (S29)"],
    ["* 24 * * * t", "1:3 24 is out of range for the hours; expected 0 to 23.", "an hour out of range"],
    ["* * 0 * * t", "1:5 0 is out of range for the days of the month; expected 1 to 31.", "a day out of range"],
    ["* * * * 8 t", "1:9 8 is out of range for the days of the week; expected 0 to 7.", "a weekday out of range"],
    ["5/10 * * * * t", "1:1 a step needs `*` or a range before it: write 5-59/10.", "a step over a number (S29)"],
    ["1,,2 * * * * t", "1:3 expected a value for the minutes, found nothing.", "an empty item"],
    [
      "* * * foo * t",
      '1:7 expected a number from 1 to 12, a name, a range or `*` for the months, found "foo"',
      "an unknown name",
    ],
    [
      "* * * * * t {invalidJson=true}",
      "1:25 the payload is not JSON5: invalid character '='.",
      "a bad payload (behaviours 126)",
    ],
    [
      "* * * * * t {n: Infinity}",
      "1:13 the payload holds Infinity or NaN, which JSON cannot.",
      "a number that JSON does not have",
    ],
    [
      "* * * * * t [1]",
      '1:13 expected ?options, a {payload} or the end of the line, found "[1]".',
      "a payload that is no object",
    ],
    [
      "* * * * * t ?fill=1y",
      '1:19 expected a length of time such as `4w3d2h1m` for `fill`, found "1y".',
      "a bad fill (S29)",
    ],
    ["* * * * * t ?max=0", '1:18 expected a whole number from 1 to 32767 for `max`, found "0".', "max out of range"],
    [
      "* * * * * t ?priority=low",
      '1:23 expected a whole number from -32768 to 32767 for `priority`, found "low".',
      "a priority that is no number",
    ],
    ["* * * * * t ?id=a&id=b", "1:19 the option `id` is given twice.", "an option twice (S29)"],
    ["* * * * * t ?jobKey=a&job_key=b", "1:23 the option `jobKey` is given twice.", "both spellings of one option"],
    ["* * * * * t ?id", '1:14 expected an option such as `fill=1d`, found "id".', "an option without a value"],
    [
      "* * * * * t ?jobKey=a&jobKeyMode=unsafe_dedupe",
      '1:34 expected `replace` or `preserve_run_at` for `jobKeyMode`, found "unsafe_dedupe".',
      "a mode that would swallow ticks",
    ],
    [
      "* * * * * t ?jobKeyMode=replace",
      "1:1 `jobKeyMode` of schedule `t` is given without a `jobKey`.",
      "a mode without a key",
    ],
    [
      "* * * * * t ?tz=Europe/Berlim",
      '1:17 a time zone must be an IANA name such as "Europe/Berlin" or "UTC", found "Europe/Berlim", did you mean `Europe/Berlin`?.',
      "a zone that does not exist",
    ],
    ["0 0 31 2 * t", '1:1 The schedule "0 0 31 2 *" names a day that never comes.', "a day that never comes"],
  ])("is named with its place: %s (%#)", (text, expected) => {
    expect(problem(text).slice(0, expected.length)).toBe(expected);
  });

  it("suggests the option that was meant, and otherwise lists them (behaviours 125)", () => {
    expect(problem("* * * * * t ?filll=1d")).toBe('1:14 unknown option "filll", did you mean `fill`?.');
    expect(problem("* * * * * t ?unknown=3")).toContain(
      "Known: `id`, `fill`, `max`, `queue`, `jobKey`, `jobKeyMode`, `priority`",
    );
  });

  it("is found in every line, and does not hide the others", () => {
    const { entries, problems } = readCrontab("* * * * * good\n61 * * * * bad\n\n* * * * * x y");
    expect(entries.map(({ id }) => id)).toEqual(["good"]);
    expect(problems.map(({ line, column }) => [line, column])).toEqual([
      [2, 1],
      [4, 13],
    ]);
  });

  it("is an error with a code when the crontab is to be used", () => {
    expect(() => parseCrontab("* * * * * a\n61 * * * * b\nx")).toThrow(
      expect.objectContaining({
        code: "HOWDAH_CRON_INVALID",
        message:
          "Line 2, column 1 of the crontab: 61 is out of range for the minutes; expected 0 to 59. There is 1 more problem.",
      }),
    );
    expect(() => parseCrontab(5 as never)).toThrow(expect.objectContaining({ code: "HOWDAH_CRON_INVALID" }));
  });

  it("may be an id that is used twice, given or not (S28)", () => {
    expect(problem("* * * * * a\n1 * * * * a")).toBe(
      '2:11 the id "a" is the one of line 1; give each a name of its own with `?id=...`.',
    );
    expect(problem("* * * * * a ?id=x\n* * * * * b ?max=1&id=x")).toMatch(/^2:23 the id "x" is the one of line 1/);
    expect(parseCrontab("* * * * * a\n1 * * * * a ?id=b")).toHaveLength(2);
  });
});
