import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { ClaimedJob } from "../../../src/job/claimed-job.ts";
import type { ClaimedRow } from "../../../src/postgres/queries/claimed-row.ts";
import { createClaims, empty } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
const { claim, claimNamed } = await createClaims(database);
afterAll(() => database.drop());
beforeEach(() => empty(database));

async function add(spec = ""): Promise<string> {
  const [row] = await database.sql(`select id::text from howdah.add_job('t', '{"n":1}'${spec})`);
  return String(row?.["id"]);
}

/** What a worker makes of a row. */
function shown(row: ClaimedRow) {
  const job = new ClaimedJob(row, {
    workerId: "w",
    sentAt: 0,
    claimedAt: "0",
    claimedAtUs: 0,
    taskIdentifiers: new Map(),
  });
  return { ...job.toJSON(), taskId: job.taskId, queueId: job.queueId, payload: job.payload };
}

async function claimedOf(jobIds: readonly string[], forbiddenFlags?: readonly string[]) {
  const { jobs } = await claimNamed(jobIds, forbiddenFlags);
  return jobs.map(({ id }) => id);
}

describe("a claim by ids", () => {
  it("answers the same as a claim that searched", async () => {
    const jobId = await add(`, priority => 3, flags => array['f'], job_key => 'k', max_attempts => 2`);
    const searched = await claim({});
    await database.sql("update howdah._private_jobs set locked_at = null, locked_by = null, attempts = 0");
    const named = await claimNamed([jobId]);
    expect(named.jobs.map(shown)).toEqual(searched.jobs.map(shown));
    expect(named.jobs.map(shown)).toMatchObject([
      { id: jobId, priority: 3, attempts: 1, maxAttempts: 2, payload: { n: 1 } },
    ]);
    const [stored] = await database.sql(
      "select locked_by, attempts, howdah._howdah_us(locked_at)::text as at from howdah._private_jobs",
    );
    expect(stored).toEqual({ locked_by: "w", attempts: 1, at: named.claimedAt });
  });

  it("leaves alone what this worker may not run now, although it was named", async () => {
    const jobs = {
      due: await add(),
      later: await add(`, run_at => now() + interval '1 hour'`),
      queued: await add(`, queue_name => 'q'`),
      flagged: await add(`, flags => array['f']`),
      locked: await add(),
      exhausted: await add(`, max_attempts => 1`),
      foreign: await add(),
      unnamed: await add(),
    };
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'x' where id = $1", [
      jobs.locked,
    ]);
    await database.sql("update howdah._private_jobs set attempts = 1 where id = $1", [jobs.exhausted]);
    await database.sql("update howdah._private_jobs set task_id = 99 where id = $1", [jobs.foreign]);
    const { unnamed: _, ...named } = jobs;
    expect(await claimedOf([...Object.values(named), "999999"], ["f"])).toEqual([jobs.due]);
  });

  it("leaves jobs of a paused task alone", async () => {
    const jobId = await add();
    await database.sql("insert into howdah._howdah_paused_tasks values ('t', now() + interval '1 hour')");
    expect(await claimedOf([jobId])).toEqual([]);
    await database.sql("delete from howdah._howdah_paused_tasks");
    expect(await claimedOf([jobId])).toEqual([jobId]);
  });

  it("gives each job to one of several workers at the same moment, and waits for none", async () => {
    const jobIds = await Promise.all(Array.from({ length: 20 }, () => add()));
    const held = await database.connect();
    await held.query("begin");
    await held.query("select from howdah._private_jobs where id = $1 for update", [jobIds[0]]);
    const taken = (await Promise.all(Array.from({ length: 5 }, () => claimedOf(jobIds)))).flat();
    expect(taken).toHaveLength(19);
    expect(new Set(taken)).toEqual(new Set(jobIds.slice(1)));
    await held.query("rollback");
    await held.end();
  });
});
