const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** A number of bytes for people: `812 MB`. */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 999.5 && unit < UNITS.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return `${unit > 0 && amount < 9.95 ? amount.toFixed(1) : Math.round(amount)} ${UNITS[unit]}`;
}

/** A number with separators, and the word it counts: `1 file`, `45,213 files`. */
export function formatCount(count: number, word?: string): string {
  const number = Math.round(count).toLocaleString("en");
  if (word === undefined) return number;
  return `${number} ${count === 1 ? word : `${word}s`}`;
}

/** Seconds for people: `0.8 s`, `45 s`, `2 min 5 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
