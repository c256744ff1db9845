import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import type { Worker } from "../../../src/index.ts";
import { createDatabase } from "../../harness/database.ts";
import { openProxy } from "../../harness/proxy.ts";
import { locked, PATIENT_RECOVERY, registered } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers"));

const idle = defineTask({ identifier: "idle", run: () => undefined });
const recovery = { ...PATIENT_RECOVERY, heartbeatInterval: "200ms", heartbeatTimeout: "100ms" } as const;

const beatOf = async ({ id }: Worker): Promise<string> =>
  String((await registered(database, id))?.["last_heartbeat_at"]?.getTime());

/** The sessions of heartbeats that cannot go on, as while a synchronous standby is away; the first one that came is first. */
const waitingBeats = async (): Promise<unknown[]> => {
  const rows = await database.sql(
    `select pid from pg_stat_activity
     where wait_event_type = 'Lock' and query like '%_howdah_lock_key%' and datname = current_database()
     order by query_start`,
  );
  return rows.map(({ pid }) => pid as unknown);
};

describe("heartbeats that take longer than their limit", () => {
  it.each([
    ["that listens", true],
    ["that only polls", false],
  ])(
    "cost a worker %s none of its connections",
    async (_, isListening) => {
      const options = { useNotificationDelivery: isListening };
      await using proxy = await openProxy(database.connectionString);
      const { connectionString } = proxy;
      const worker = await createTestWorker(database, { tasks: [idle], connectionString, recovery, ...options });
      const failed = record(worker.hooks, "workerError");
      const { id } = worker;
      const running = worker.run();
      const completed = record(worker.hooks, "jobComplete");
      await worker.client.addJob(idle);
      await completed.reach();
      if (isListening) await locked(database, id);

      const other = await database.connect();
      await other.query("begin");
      await other.query("select from howdah._private_workers where id = $1 for update", [id]);
      // The usual way, and connections that were made because it did not answer, in two tries.
      await until(async () => (await waitingBeats()).length >= 3);
      const [usual] = await waitingBeats();
      const before = await beatOf(worker);
      await other.query("rollback");
      await until(async () => (await beatOf(worker)) !== before);
      const beat = await beatOf(worker);
      await until(async () => (await beatOf(worker)) !== beat);

      expect(await registered(database, id)).toMatchObject({
        _howdah_swept: 0,
        lock: isListening ? "held" : "none",
        _howdah_lock_pid: isListening ? usual : null,
      });
      expect(await database.sql("select from pg_stat_activity where pid = $1", [usual])).toHaveLength(1);
      expect(proxy.statements.filter((text) => /^listen "/i.test(text))).toHaveLength(isListening ? 1 : 0);
      expect(failed.events).toMatchObject([{ activity: "say that it lives" }]);
      await worker.stop();
      await running;
    },
    60_000,
  );
});
