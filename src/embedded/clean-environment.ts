/**
 * The environment of PostgreSQL's processes: nothing of the environment of the
 * caller, so that no locale, time zone or `PG…` variable changes its behaviour
 * or the language of its messages.
 */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
}
