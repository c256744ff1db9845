/** ISO 8601: a date, or a date with a time and its offset from UTC. */
const ISO_8601 =
  /^(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)(?:[Tt ](?<hour>\d\d):(?<minute>\d\d)(?::(?<second>\d\d)(?:\.\d{1,9})?)?(?<zone>[Zz]|[+-]\d\d(?::?\d\d)?))?$/;

/** Years before the first are written differently by JavaScript and PostgreSQL. */
const FIRST_YEAR_MS = Date.parse("0001-01-01T00:00:00Z");

/**
 * Writes a time as PostgreSQL reads it, whatever the session's `DateStyle` and
 * `TimeZone` are. `undefined` when it is not a valid time: an invalid or BC
 * `Date`, or a string that is not ISO 8601. A date without a time is midnight
 * UTC; a time needs its offset, because the client and the database may live in
 * different zones. Digits of a string below the millisecond are kept.
 */
export function toTimestamp(value: unknown): string | undefined {
  if (value instanceof Date) return fromDate(value);
  return typeof value === "string" ? fromIsoString(value) : undefined;
}

function fromDate(date: Date): string | undefined {
  const ms = date.getTime();
  if (Number.isNaN(ms) || ms < FIRST_YEAR_MS) return undefined;
  // JavaScript writes years of five digits as +012345, PostgreSQL as 12345.
  return date.toISOString().replace(/^\+0*/, "");
}

function fromIsoString(text: string): string | undefined {
  const groups = ISO_8601.exec(text)?.groups;
  if (!groups) return undefined;
  const { year = "", month = "", day = "", zone } = groups;
  const [hour, minute, second] = [groups.hour ?? "00", groups.minute ?? "00", groups.second ?? "00"];
  // Date.parse takes February 30 for March 1, so what it understood is compared.
  const understood = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(understood.getTime()) || year === "0000") return undefined;
  if (understood.toISOString().slice(0, 19) !== `${year}-${month}-${day}T${hour}:${minute}:${second}`) return undefined;
  if (zone !== undefined && !isOffset(zone)) return undefined;
  return zone === undefined ? `${text} 00:00:00Z` : text;
}

function isOffset(zone: string): boolean {
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(-2))];
  return /^[Zz]$/.test(zone) || (hours <= 15 && (zone.length === 3 || minutes <= 59));
}
