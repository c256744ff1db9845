import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createWorker } from "../../../src/index.ts";
import { startPostgres } from "../../../src/embedded/index.ts";
import { defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { PATIENT_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createGate, record } from "../../harness/worker.ts";

it("a restart of the server, however long it takes, kills no worker and interrupts no job", async () => {
  const folder = await mkdtemp(join(tmpdir(), "howdah-restart-"));
  await chmod(folder, 0o755);
  const settings = { fsync: false, full_page_writes: false, shared_buffers: "16MB" };
  const dataDir = join(folder, "data");
  const server = await startPostgres({ dataDir, settings });
  const { connectionString } = server;
  const gate = createGate();
  const hold = defineTask({ identifier: "hold", run: () => gate.opened });
  const options = { connectionString, tasks: [hold], concurrency: 2, logger: silentLogger } as const;
  // The sweepers need far less than the server will be away, and then more than the slowest one to come back.
  const recovery = { ...PATIENT_RECOVERY, watchTime: "6s" } as const;
  const workers = [];
  for (let n = 0; n < 3; n += 1) {
    workers.push(await createWorker({ ...options, recovery, shutdown: { osSignals: false } }));
  }
  const ids = workers.map(({ id }) => id);
  const [first] = workers;
  const started = workers.map(({ hooks }) => record(hooks, "jobStart"));
  const recovered = workers.map(({ hooks }) => record(hooks, "workerRecovered"));
  const completed = workers.map(({ hooks }) => record(hooks, "jobComplete"));
  const running = workers.map((worker) => worker.run());
  await first?.client.addJobs(
    Array.from({ length: 6 }, (_, n) => ({ task: hold, payload: {}, spec: n % 2 ? { queueName: `q${n}` } : {} })),
  );
  await until(() => started.flatMap(({ events }) => events).length === 6);
  const held = async () =>
    (await first?.client.listActiveWorkers())?.filter(({ session }) => session === "held").length;
  await until(async () => (await held()) === 3);

  await server.stop("immediate");
  const stoppedAt = systemClock.monotonic();
  await until(() => systemClock.monotonic() - stoppedAt > 2_500);
  const again = await startPostgres({ dataDir, settings, port: Number(new URL(connectionString).port) });
  await until(async () => (await held()) === 3, { deadlineMs: 30_000 });
  gate.open();
  await until(() => completed.flatMap(({ events }) => events).length === 6);
  expect(workers.map(({ id }) => id)).toEqual(ids);
  expect(recovered.flatMap(({ events }) => events)).toEqual([]);
  await Promise.all(workers.map((worker) => worker.stop()));
  await Promise.all(running);
  await again.stop();
  await rm(folder, { recursive: true });
}, 90_000);
