/** What to do about an error with this SQLSTATE; `undefined` when there is nothing to add to the words of the server. */
export function hintFor(state: string | undefined): string | undefined {
  return state === undefined ? undefined : (HINTS[state] ?? HINTS[state.slice(0, 2)]);
}

/**
 * What to do about an error of the server whose own words do not say it, by
 * SQLSTATE. A whole class counts for the states of it that are not named.
 */
const HINTS: Readonly<Record<string, string>> = {
  "22P05": "The encoding of the database cannot hold a character of it.",
  "2200H": "A counter of the schema is used up.",
  "23": "A constraint that Howdah did not make is the application's to change.",
  "25006": "This is a standby, or read-only by a setting: connect to the primary.",
  "25P02": "The transaction has failed before and can only be rolled back.",
  "28": "Check the user and the password, and what the server's pg_hba.conf allows.",
  "3D000": "Check the name of the database, or create it.",
  "42501": "As the owner of the database, grant the role `connect`.",
  "53100": "Make room on the disk of the server.",
  "53200": "The server has run out of memory: give it more, or fewer connections.",
  "53300": "The server, the database or the role has as many connections as it may: end some, or raise the limit.",
  "55P03":
    "Another transaction holds what this one needs: in pg_stat_activity, look for sessions that are `idle in transaction`.",
  "57014": "See whether the `statement_timeout` of the role or of the database is too short.",
  "57P03": "The server is starting, stopping or recovering: try again later.",
};
