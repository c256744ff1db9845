/**
 * The environment of PostgreSQL's processes: nothing of whoever starts it, so
 * that no locale, time zone or `PG…` variable changes what it does or the
 * language of its messages.
 */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
}
