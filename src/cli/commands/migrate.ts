import { InvalidArgumentError, Option } from "commander";
import { CONNECTION_OPTIONS, openConnection, schemaNameOf } from "../../client/connection.ts";
import { withHowdahErrors } from "../../postgres/database-error.ts";
import { migrationSql } from "../../client/migrate-schema.ts";
import { HowdahError } from "../../errors.ts";
import { applyMigrations, type MigratePlan, planMigrations } from "../../postgres/apply-migrations.ts";
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
  ],
  options: [
    new Option("--sql", "print the SQL instead of running it; needs no database"),
    FROM,
    new Option("--dry-run", "change nothing and tell which migrations would be applied").conflicts("sql"),
  ],
  async run({ screen, globals, options: { sql, from, dryRun } }) {
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
    const { driver, target } = openConnection(options, systemClock, "howdah cli");
    const logger = commandLogger();
    try {
      const migrating = withHowdahErrors(schema, async () => {
        await reachDatabase({ driver, clock: systemClock, timeoutMs: options.connectTimeoutMs, target });
        return dryRun === true
          ? await planMigrations({ driver, schema })
          : await applyMigrations({ driver, schema, logger });
      });
      const result = await sayingWhenSlow(logger, migrating);
      if ("pending" in result) return printPlan({ screen, globals }, schema, result);
      const { revision, applied } = result;
      if (globals.json) {
        screen.printJson({ migrated: true, schema: schema.name, revision, applied });
      } else {
        const name = screen.paint.bold(printable(schema.quoted));
        const found = applied.length === 0 ? "was up to date" : describeApplied(applied);
        screen.print(
          `${screen.paint.green("✓")} Schema ${name} in ${printable(target)} ${found}: revision ${revision}`,
        );
      }
    } finally {
      await driver.close();
    }
  },
};

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

function describeApplied(applied: readonly number[]): string {
  return applied[0] === 1 ? "was created" : `was migrated (${applied.length} steps)`;
}
