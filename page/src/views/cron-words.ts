const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** A cron expression in words, where it is a simple one: `at 08:00 from Monday to Friday`. Undefined for others. */
export function cronWords(expression: string): string | undefined {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 5) return undefined;
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = fields;
  const time = timeWords(minute, hour);
  const when = [dayWords(day), weekdayWords(weekday), monthWords(month)];
  if (time === undefined || when.includes(undefined)) return undefined;
  // Cron means either of both then, which reads like both.
  if (day !== "*" && weekday !== "*") return undefined;
  return [time, ...when.filter((words) => words !== "")].join(" ");
}

function timeWords(minute: string, hour: string): string | undefined {
  const every = /^\*\/(\d+)$/.exec(minute)?.[1];
  if (minute === "*" && hour === "*") return "every minute";
  if (every !== undefined && hour === "*") return `every ${every} minutes`;
  if (!/^\d+$/.test(minute)) return undefined;
  if (hour === "*") return minute === "0" ? "every hour" : `every hour at minute ${minute}`;
  const everyHour = /^\*\/(\d+)$/.exec(hour)?.[1];
  if (everyHour !== undefined) return `every ${everyHour} hours at minute ${minute}`;
  if (!/^\d+(,\d+)*$/.test(hour)) return undefined;
  return `at ${hour
    .split(",")
    .map((one) => `${one.padStart(2, "0")}:${minute.padStart(2, "0")}`)
    .join(" and ")}`;
}

function dayWords(day: string): string | undefined {
  if (day === "*") return "";
  return /^\d+$/.test(day) ? `on day ${day} of the month` : undefined;
}

function weekdayWords(weekday: string): string | undefined {
  if (weekday === "*") return "";
  const [, from, to] = /^(\d)-(\d)$/.exec(weekday) ?? [];
  if (from !== undefined && to !== undefined) return `from ${DAYS[Number(from) % 7]} to ${DAYS[Number(to) % 7]}`;
  if (!/^\d(,\d)*$/.test(weekday)) return undefined;
  return `on ${weekday
    .split(",")
    .map((one) => DAYS[Number(one) % 7])
    .join(", ")}`;
}

function monthWords(month: string): string | undefined {
  if (month === "*") return "";
  return /^\d+$/.test(month) ? `in ${MONTHS[Number(month) - 1]}` : undefined;
}
