import { InvalidArgumentError, Option } from "commander";
import { CONNECTION_OPTIONS, openConnection, schemaNameOf } from "../../client/connection.ts";
import { withHowdahErrors } from "../../postgres/database-error.ts";
import { LAYOUT_CONNECTION, migrationSql } from "../../client/migrate-schema.ts";
import { formatBytes } from "../../client/views/amounts.ts";
import { HowdahError } from "../../errors.ts";
import { type MigratePlan, type MigrateResult, planMigrations } from "../../postgres/apply-migrations.ts";
import type { Driver } from "../../postgres/driver.ts";
import { describeAdoption } from "../../postgres/layout/adopt-schema.ts";
import { changeLayout, chosenChange, type LayoutChange } from "../../postgres/layout/change-layout.ts";
import { type OwnPlan, planOwning } from "../../postgres/layout/own-schema.ts";
import { reachDatabase } from "../../postgres/reach-database.ts";
import { createSchema, type Schema } from "../../postgres/schema.ts";
import { systemClock } from "../../runtime/clock.ts";
import { readOptions } from "../../runtime/options.ts";
import type { Call, CliCommand } from "../command.ts";
import { commandLogger, connectionOptions, ONE_COMMAND, sayingWhenSlow } from "../connect.ts";
import { printable } from "../printable.ts";

const FROM = new Option("--from <revision>", "with --sql: the current revision of the schema").argParser((text) => {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It has to be a revision, a whole number such as 8.");
});

/** `howdah migrate`: creates the schema or brings it up to date. */
export const migrateCommand: CliCommand = {
  usage: "migrate",
  summary: "create the schema or bring it up to date",
  examples: [
    "howdah migrate",
    "howdah migrate --schema jobs --json",
    "howdah migrate --dry-run",
    "howdah migrate --sql > howdah.sql",
    "howdah migrate --schema graphile_worker --adopt",
  ],
  options: [
    new Option("--sql", "print the SQL instead of running it; needs no database"),
    FROM,
    new Option("--dry-run", "change nothing and tell what would be done").conflicts("sql"),
    new Option("--adopt", "use a schema of graphile-worker, beside its workers").conflicts("sql"),
    new Option("--own", "make an adopted schema Howdah's own").conflicts(["sql", "adopt"]),
    new Option("--release", "take all that Howdah has added out of an adopted schema").conflicts([
      "sql",
      "adopt",
      "own",
    ]),
    new Option("--yes", "with --own and --release: do not ask"),
  ],
  async run({ screen, globals, options: { sql, from, dryRun, yes, adopt, own, release } }) {
    if (sql === true) {
      const text = migrationSql({
        ...(globals.schema === undefined ? {} : { schema: globals.schema }),
        ...(from === undefined ? {} : { from: Number(from) }),
      });
      return globals.json ? screen.printJson({ sql: text }) : screen.print(text.trimEnd());
    }
    if (from !== undefined) throw new HowdahError("HOWDAH_OPTION_INVALID", "Option --from goes with --sql only.");
    const options = readOptions("client", { ...connectionOptions(globals), ...ONE_COMMAND }, CONNECTION_OPTIONS);
    const schema = createSchema(schemaNameOf(options));
    const changes = { adopt: adopt === true, own: own === true, release: release === true };
    const change = chosenChange(changes);
    const { driver, target } = openConnection(
      { ...options, ...(change && LAYOUT_CONNECTION), handlerConnections: 0 },
      systemClock,
      "howdah cli",
    );
    const logger = commandLogger();
    const ground = { driver, schema, target, screen, globals };
    try {
      await withHowdahErrors(schema, async () => {
        const reaching = reachDatabase({ driver, clock: systemClock, timeoutMs: options.connectTimeoutMs, target });
        await sayingWhenSlow(logger, reaching);
        if (dryRun === true) return await tell(ground, change);
        if (change !== undefined && yes !== true && !(await isAgreed(ground, change))) return;
        const done = await changeDone(ground, change);
        const migrating = changeLayout(changes, { driver, schema, logger });
        printResult(ground, done, await sayingWhenSlow(logger, migrating, done && AT_WORK));
      });
    } finally {
      await driver.close();
    }
  },
};

interface Ground extends Pick<Call, "screen" | "globals"> {
  readonly driver: Driver;
  readonly schema: Schema;
  readonly target: string;
}

/** What will have been done: where nothing of others is, there is nothing to adopt, and the schema is migrated. */
async function changeDone({ driver, schema }: Ground, change: LayoutChange | undefined) {
  if (change !== "adopt") return change;
  return (await describeAdoption({ driver, schema })) === undefined ? undefined : change;
}

/** Says what would be done. */
async function tell(ground: Ground, change: LayoutChange | undefined): Promise<void> {
  const { driver, schema, screen, globals } = ground;
  const name = schema.name;
  if (change === "adopt") {
    const sql = await describeAdoption({ driver, schema });
    if (sql) return globals.json ? screen.printJson({ migrated: false, schema: name, sql }) : screen.print(sql);
  }
  if (change === "own") {
    const plan = await planOwning({ driver, schema });
    return globals.json
      ? screen.printJson({ migrated: false, schema: name, ...plan })
      : screen.print(describeOwning(schema, plan).join("\n"));
  }
  if (change === "release") {
    return globals.json ? screen.printJson({ migrated: false, schema: name }) : screen.print(RELEASE_MEANS);
  }
  return printPlan(ground, schema, await planMigrations({ driver, schema }));
}

/** Asks the person at the terminal where something is lost. Throws `HOWDAH_OPTION_INVALID` when there is none. */
async function isAgreed({ driver, schema, screen }: Ground, change: LayoutChange): Promise<boolean> {
  if (change === "adopt") return true;
  const plan = change === "own" ? await planOwning({ driver, schema }) : undefined;
  if (plan?.isOwned) return true;
  for (const line of plan ? describeOwning(schema, plan) : [RELEASE_MEANS]) screen.note(line);
  if (screen.ask === undefined) {
    throw new HowdahError("HOWDAH_OPTION_INVALID", `Nothing was changed. Add --yes to --${change} to do it.`);
  }
  if (/^y(es)?$/i.test(await screen.ask("Do it? [y/N] "))) return true;
  screen.note("Nothing was changed.");
  return false;
}

const AT_WORK = "Changing the schema and looking after sessions of other workers, which takes some seconds or more";

const RELEASE_MEANS =
  "What Howdah has added is dropped: schedules, pauses, samples, and whatever else graphile-worker does not know. Jobs stay.";

function describeOwning(schema: Schema, { isOwned, bytes, seconds, traces }: OwnPlan): string[] {
  const name = printable(schema.quoted);
  if (isOwned) return [`Schema ${name} is Howdah's own already.`];
  const { holders, registered, sessions, hiddenSessions } = traces;
  const seen = [
    ...(holders.length > 0 ? [`locks of ${holders.join(", ")}`] : []),
    ...(registered.length > 0 ? [`the registration of ${registered.join(", ")}`] : []),
    ...sessions.map(({ pid, application, user }) => `a session (pid ${pid}, ${application || user})`),
  ];
  return [
    `The table of jobs of schema ${name}, ${formatBytes(bytes)}, is written anew, which may take ${seconds} s. ` +
      "No worker and no producer can use it meanwhile.",
    `Seen of workers of others: ${seen.length > 0 ? printable(seen.join("; ")) : "nothing"}.`,
    ...(hiddenSessions > 0 ? [`What ${hiddenSessions} sessions of other roles do cannot be seen.`] : []),
    "Workers of graphile-worker register nowhere: stop all of them first. Those that are left fail at their next claim, and may not say so.",
  ];
}

function printResult(
  { screen, globals, schema, target }: Ground,
  change: LayoutChange | undefined,
  { revision, applied }: MigrateResult,
): void {
  if (globals.json) {
    const layout = change === undefined ? {} : { change };
    return screen.printJson({ migrated: true, schema: schema.name, ...layout, revision, applied });
  }
  const name = screen.paint.bold(printable(schema.quoted));
  const found = change === undefined || change === "adopt" ? describeApplied(applied, change) : CHANGED[change];
  const at = change === "release" ? "" : `: revision ${revision}`;
  screen.print(`${screen.paint.green("✓")} Schema ${name} in ${printable(target)} ${found}${at}`);
}

const CHANGED = { own: "is Howdah's own", release: "is graphile-worker's as before" };

function printPlan({ screen, globals }: Pick<Call, "screen" | "globals">, schema: Schema, plan: MigratePlan): void {
  const { revision } = plan;
  const pending = plan.pending.map(({ id }) => id);
  const damaged = plan.isDamaged;
  if (globals.json) return screen.printJson({ migrated: false, schema: schema.name, revision, pending, damaged });
  const state = revision === 0 ? "does not exist" : `is at revision ${revision}`;
  const steps = pending.length === 0 ? "up to date" : `migrations ${pending.join(", ")} would be applied`;
  screen.print(`Schema ${printable(schema.quoted)} ${state}: ${steps}.`);
  if (damaged) screen.print("Something is missing in it, which would be made again.");
  const breaksBefore = Math.max(0, ...plan.pending.map((migration) => migration.breaksBefore ?? 0));
  if (revision > 0 && breaksBefore > revision)
    screen.note("After that, workers and clients of the release that is in use are refused.");
}

function describeApplied(applied: readonly number[], change: LayoutChange | undefined): string {
  if (applied.length === 0) return "was up to date";
  if (change === "adopt") return "was adopted";
  return applied[0] === 1 ? "was created" : `was migrated (${applied.length} steps)`;
}
