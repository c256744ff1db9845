import ts from "typescript";
import { describe, expect, it } from "vitest";
import { compile } from "./compile.ts";
import { projectFiles, readProjectFile } from "./project-tree.ts";

/** The optional properties of a module that do not take `undefined`, as they are written. */
function strictlyOptional(text: string): string[] {
  const source = ts.createSourceFile("api.ts", text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isPropertySignature(node) && node.questionToken && !takesUndefined(node.type)) found.push(node.getText());
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** `never` says that the property must not be there. */
const ANYTHING_OR_NOTHING = new Set([
  ts.SyntaxKind.UndefinedKeyword,
  ts.SyntaxKind.UnknownKeyword,
  ts.SyntaxKind.NeverKeyword,
]);

function takesUndefined(type: ts.TypeNode | undefined): boolean {
  if (!type) return false;
  if (ANYTHING_OR_NOTHING.has(type.kind)) return true;
  return ts.isUnionTypeNode(type) && type.types.some(takesUndefined);
}

const reports = projectFiles("api").filter((file) => file.endsWith(".md"));

describe("an optional property of the public types", () => {
  it.each(reports)("takes `undefined` as left out (%s)", (report) => {
    const [, text = ""] = /```ts\n(.*)```/s.exec(readProjectFile(report)) ?? [];
    expect(text).not.toBe("");
    expect(strictlyOptional(text)).toEqual([]);
  });

  it("is found wherever it stands", () => {
    const text = "interface A { a?: string; b?: { c?: number } | undefined; d?: undefined | (() => void) }";
    expect(strictlyOptional(text)).toEqual(["a?: string;", "c?: number"]);
  });
});

describe("a project with exactOptionalPropertyTypes", () => {
  it("can pass on what the environment may not have, and specs and options with values that may be missing", () => {
    const text = `
      import { consoleLogger, createClient, createWorker, cron, defineTask, migrate } from "howdah";
      import { pgDriver } from "howdah/pg";
      const url = process.env["DATABASE_URL"];
      const missing = (): undefined => undefined;
      const t = defineTask({ identifier: "t", timeout: missing(), retry: missing(), defaults: missing(), run(_: { a: number }) {} });
      const c = await createClient({ connectionString: url, schema: process.env["S"], pool: missing(), logger: missing(), hooks: missing() });
      await createWorker({ connectionString: url, tasks: [t], concurrency: missing(), crontab: missing(), localQueue: { size: missing() }, recovery: { heartbeatInterval: missing() }, shutdown: { gracePeriod: missing() } });
      await migrate({ connectionString: url });
      pgDriver({ connectionString: url, config: missing() });
      const spec = { runAt: missing(), queueName: missing(), jobKey: missing(), priority: missing(), maxAttempts: missing() };
      await c.addJob(t, { a: 1 }, spec);
      await c.addJobs([{ task: t, payload: { a: 1 }, spec }, { identifier: "x", payload: missing(), spec: missing() }]);
      await c.listJobs({ state: missing(), task: missing() });
      await c.pauseQueue("q", { until: missing() });
      await c.rescheduleJobs(["1"], { runAt: missing(), priority: 1 });
      await c.schedules.upsert({ id: "s", task: "t", schedule: "@daily", missed: missing(), timeZone: missing(), fill: missing() });
      cron({ task: "t", schedule: "@daily", id: missing(), spec: missing() });
      consoleLogger({ level: missing(), stream: missing() });
    `;
    const path = "docs/exact.ts";
    const complaints = compile(new Map([[path, text]]), { exactOptionalPropertyTypes: true }).get(path) ?? [];
    expect(complaints.map(({ line, message }) => `${line}: ${message}`)).toEqual([]);
  });
});
