/**
 * The expression for a parameter with an array of run times. One is a time as
 * PostgreSQL reads it, or a delay, see {@link delayCell}. Delays need another
 * statement, so that what has none costs nothing: `name` is that of the statement.
 */
export function runTimes(parameter: string, { delayed, name }: RunTimeStatement): RunTimeExpression {
  if (!delayed) return { name, expression: `${parameter}::pg_catalog.timestamptz[]` };
  const each = `pg_catalog.unnest(${parameter}::pg_catalog.text[]) with ordinality as given(time, place)`;
  return {
    name: `${name}_delayed`,
    expression: `(select pg_catalog.array_agg(${fromText("given.time")} order by given.place) from ${each})`,
  };
}

/** As {@link runTimes}, for a parameter with one time. */
export function runTime(parameter: string, { delayed, name }: RunTimeStatement): RunTimeExpression {
  if (!delayed) return { name, expression: `${parameter}::pg_catalog.timestamptz` };
  return { name: `${name}_delayed`, expression: fromText(`${parameter}::pg_catalog.text`) };
}

/** The statement that the times are for. */
export interface RunTimeStatement {
  readonly name: string;
  /** Whether one of the values is a delay. */
  readonly delayed: boolean;
}

/** What the statement becomes. */
export interface RunTimeExpression {
  readonly name: string;
  readonly expression: string;
}

/**
 * A delay as a run time: `+` and an interval, which the database counts from
 * the start of the transaction that stores the job, as it does for a job
 * without a time.
 */
export function delayCell(ms: number): string {
  return `+${Math.round(ms)} milliseconds`;
}

/** Whether a run time is a delay. No time begins with `+`. */
export function isDelay(time: string | null): boolean {
  return time !== null && time.startsWith("+");
}

function fromText(text: string): string {
  const delay = `pg_catalog.substr(${text}, 2)::pg_catalog.interval`;
  return `case when pg_catalog.starts_with(${text}, '+') then pg_catalog.now() operator(pg_catalog.+) ${delay} else ${text}::pg_catalog.timestamptz end`;
}
