import { createWorker, silentLogger } from "../../../index.ts";
import { pgDriver } from "../../../postgres/drivers/pg.ts";
import type { CrashWorkerOrder, CrashWorkerReport } from "./crash-crew.ts";
import { fingerprintFile } from "./fingerprint-task.ts";
import { FilesTable } from "./files-table.ts";

/**
 * The program of a worker that the demo may kill. It reports how many jobs it
 * has started, and how many jobs of dead workers it has returned; it ends when
 * it is told to, or when the demo has ended.
 */
const { connectionString, isDatabaseOwn, schema, directory, concurrency } = JSON.parse(
  process.argv[2] ?? "",
) as CrashWorkerOrder;

/** How many jobs are begun between two reports. */
const REPORT_EVERY = 5;

const report = (message: CrashWorkerReport): void => void process.send?.(message);

const driver = pgDriver({
  connectionString,
  maxConnections: Math.min(concurrency, 20) + 4,
  connectTimeout: "30s",
  preparedStatements: isDatabaseOwn,
});
let started = 0;
const worker = await createWorker({
  driver,
  schema,
  concurrency,
  migrate: false,
  // Every failure is expected here, and the demo counts them.
  logger: silentLogger,
  tasks: [fingerprintFile],
  state: new FilesTable(driver, { schema, directory }),
  localQueue: { size: 100 },
  // The defaults would make the viewer wait for up to a minute.
  recovery: {
    heartbeatInterval: "500ms",
    sweepInterval: "500ms",
    sweepThreshold: "10s",
    watchTime: "2s",
    recoveryDelay: 0,
    contactTimeout: "2500ms",
    queueDelay: "3s",
  },
  shutdown: { osSignals: false },
  hooks: {
    jobStart() {
      started += 1;
      if (started % REPORT_EVERY === 0) report({ started });
    },
    workerRecovered: ({ jobCount }) => report({ recovered: jobCount }),
  },
});
// Ctrl-C reaches the whole process group; the demo itself tells its workers when to stop.
process.on("SIGINT", () => {});
process.on("message", () => void worker.stop());
process.on("disconnect", () => process.exit(1));
await worker.run();
await driver.close();
process.disconnect();
