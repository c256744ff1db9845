import { stripVTControlCharacters } from "node:util";
import { expect, it } from "vitest";
import { createWorker, defineTask, silentLogger } from "../../../src/index.ts";
import { readProjectFile } from "../../docs/project-tree.ts";
import { createDatabase } from "../../harness/database.ts";
import { runCli } from "../../harness/run-cli.ts";

const COMMANDS = [["stats"], ["list"]];

/** The screens of the README, as they look when the commands run now. */
async function screens(): Promise<string> {
  await using database = await createDatabase();
  const chargeCard = defineTask({
    identifier: "charge_card",
    run(): void {
      throw new Error("the card has expired");
    },
  });
  await using worker = await createWorker({ driver: database.driver, tasks: [chargeCard], logger: silentLogger });
  const { client } = worker;
  await client.addJob(chargeCard, { order: 7 }, { maxAttempts: 1 });
  await worker.runOnce();
  await client.addJob("send_email", { to: "ada@example.com" }, { queueName: "mail" });
  await client.addJob("send_email", { to: "bob@example.com" }, { queueName: "mail" });
  await client.addJob("send_report", {}, { runIn: "3h" });
  const outputs: string[] = [];
  for (const args of COMMANDS) {
    const { code, out } = await runCli([...args, "--database-url", database.connectionString], { columns: 120 });
    expect(code).toBe(0);
    outputs.push(`$ howdah ${args.join(" ")}\n${out.trimEnd()}`);
  }
  return outputs.join("\n\n");
}

/** Spaces differ with the width of a time, and times with the day. */
function alike(screen: string): string[] {
  return screen.split("\n").map((line) =>
    stripVTControlCharacters(line)
      .replaceAll(/\d+ (?:s|min|h)\b|now/g, "TIME")
      .replaceAll(/\s+/g, " ")
      .trim(),
  );
}

it("the README shows what the command line prints", async () => {
  const shown = /## In operation\n\n```text\n([\s\S]*?)\n```/.exec(readProjectFile("README.md"))?.[1] ?? "";
  const printed = await screens();
  expect(alike(shown)).toEqual(alike(printed));
});
