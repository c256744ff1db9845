import { expect, it } from "vitest";
import { createWorker, defineTasks, migrate, silentLogger } from "../../../src/index.ts";
import { startNode, type TestProcess } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";
import { mainFile, RELEASE } from "../graphile-worker.ts";
import { SCHEMA } from "../layouts.ts";
import { createForeignDatabase, KINDS } from "./foreign-database.ts";

const LEFT = `select payload from ${SCHEMA}._private_jobs`;
const UNLOCK_QUEUES = `
  update ${SCHEMA}._private_job_queues set locked_at = null, locked_by = null
  where locked_at < now() - interval '3 seconds'`;
const kind = KINDS.find(({ release }) => release === RELEASE);
const wordsOf = ({ lines }: TestProcess, verb: string): string[] =>
  lines.filter((line) => line.startsWith(`${verb} `)).map((line) => line.slice(verb.length + 1));

it(`is adopted while two processes of graphile-worker ${RELEASE} run and add, and no job is lost or done twice`, async () => {
  await using database = await createForeignDatabase(kind ?? { name: "", release: RELEASE, ledger: 19 });
  const { connectionString } = database;
  await database.sql(`
    delete from ${SCHEMA}._private_jobs;
    update ${SCHEMA}._private_job_queues set locked_at = null, locked_by = null`);
  const start = (name: string) =>
    startNode(new URL("fixtures/their-busy-worker.mjs", import.meta.url), {
      args: [JSON.stringify({ name, main: mainFile(), connectionString, schema: SCHEMA })],
    });
  const theirs = [await start("a"), await start("b")];
  for (const worker of theirs) await worker.line(/^added .-50$/);

  await migrate({ connectionString, schema: SCHEMA, logger: silentLogger, adopt: true });
  const before = theirs.map((worker) => wordsOf(worker, "added").length);
  const ours: string[] = [];
  await using worker = await createWorker({
    connectionString,
    schema: SCHEMA,
    migrate: false,
    logger: silentLogger,
    tasks: defineTasks({ t: (payload) => void ours.push(String(payload)) }),
    shutdown: { osSignals: false },
  });
  const running = worker.run();
  for (const [place, process] of theirs.entries()) {
    await until(() => wordsOf(process, "added").length > Number(before[place]) + 100, { message: "adds after it" });
    // Theirs are as fast as ours, and nothing is left over for ours when no more is added.
    await until(() => ours.length > 0, { message: "a job that ours gets" });
    process.say("rest");
    await process.line("rests");
  }
  await until(
    async () => {
      // With a job whose completion was lost its queue stays locked, for four hours or until it is unlocked by hand.
      await database.sql(UNLOCK_QUEUES);
      return (await database.sql(`${LEFT} where locked_at is null`)).length === 0;
    },
    { message: "all jobs to be done", deadlineMs: 20_000 },
  );
  await worker.stop();
  await running;

  const added = theirs.flatMap((process) => wordsOf(process, "added"));
  const ran = () => [...ours, ...theirs.flatMap((process) => wordsOf(process, "ran"))];
  await until(() => ran().length >= added.length, { message: "every handler to be called" });
  expect(ran().toSorted()).toEqual(added.toSorted());
  // A completion that was on its way when its session was ended is lost, as the guide says: its job stays locked.
  const left = await database.sql(LEFT);
  expect(left.length).toBeLessThan(10);
  expect(
    theirs.flatMap((process) => wordsOf(process, "lost")).filter((code) => !["57P01", "none"].includes(code)),
  ).toEqual([]);
  // An add that is under way when the columns come, or whose session is ended, says so, and has added nothing.
  const refused = theirs.flatMap((process) => wordsOf(process, "refused"));
  expect(refused.filter((code) => !["0A000", "42804", "57P01", "none"].includes(code))).toEqual([]);
}, 60_000);
