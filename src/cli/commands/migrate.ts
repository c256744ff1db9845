import { CONNECTION_OPTIONS, openConnection, schemaNameOf } from "../../client/connection.ts";
import { migrate } from "../../postgres/migrate.ts";
import { reachDatabase } from "../../postgres/reach-database.ts";
import { createSchema } from "../../postgres/schema.ts";
import { systemClock } from "../../runtime/clock.ts";
import { readOptions } from "../../runtime/options.ts";
import type { CliCommand } from "../command.ts";
import { connectionOptions } from "../connect.ts";
import { printable } from "../printable.ts";

/** `howdah migrate`: creates the schema or brings it up to date. */
export const migrateCommand: CliCommand = {
  usage: "migrate",
  summary: "create the schema or bring it up to date",
  examples: ["howdah migrate", "howdah migrate --schema jobs --json"],
  async run({ screen, globals }) {
    const options = readOptions("client", { ...connectionOptions(globals), maxConnections: 1 }, CONNECTION_OPTIONS);
    const schema = createSchema(schemaNameOf(options));
    const { driver, target } = openConnection(options, systemClock, "howdah cli");
    try {
      await reachDatabase({ driver, clock: systemClock, timeoutMs: options.connectTimeoutMs, target });
      const { revision, applied } = await migrate({ driver, schema });
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

function describeApplied(applied: readonly number[]): string {
  return applied[0] === 1 ? "was created" : `was migrated (${applied.length} steps)`;
}
