import pg from "pg";
import { startPostgresUnlessGiven } from "../../dist/embedded/index.js";
import { createServerClock } from "./server-cpu.mjs";

/**
 * Settings of the server that all sides share. Durable: fsync and synchronous commits stay on. Checkpoints are made by
 * hand before each cell, so that none falls on one side by chance.
 */
export const SERVER_SETTINGS = {
  shared_buffers: "256MB",
  max_connections: 300,
  max_wal_size: "8GB",
  checkpoint_timeout: "30min",
  shared_preload_libraries: "pg_stat_statements",
  "pg_stat_statements.track": "none",
};

/** Starts the server (or takes the one of DATABASE_URL) on which every side gets a fresh database of its own. */
export async function openPostgres() {
  const server = await startPostgresUnlessGiven({ settings: SERVER_SETTINGS });
  // One connection, so that databases are made one after another.
  const admin = new pg.Pool({ connectionString: server.connectionString, max: 1 });
  // Its idle connection is ended together with the server.
  admin.on("error", () => {});
  const { rows } = await admin.query("select current_setting('server_version') as version, pg_backend_pid() as pid");
  let created = 0;

  return {
    version: rows[0].version,
    isGiven: Boolean(process.env.DATABASE_URL),
    /** Processor time of the whole server so far, in microseconds, where it can be read. */
    cpuUs: createServerClock(rows[0].pid),

    async createDatabase() {
      created += 1;
      const name = `howdah_bench_${process.pid}_${created}`;
      await admin.query(`create database ${name}`);
      const url = new URL(server.connectionString);
      url.pathname = `/${name}`;
      return databaseAt(url.href, async () => {
        await admin.query(`drop database ${name} with (force)`);
      });
    },

    async stop() {
      await admin.end();
      await server.stop();
    },
  };
}

async function databaseAt(connectionString, drop) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  return {
    connectionString,
    sql: async (text, values) => (await client.query(text, values)).rows,

    /** The same start for every side: nothing dead, fresh statistics, no checkpoint under way. */
    async settle() {
      await client.query("vacuum (analyze)");
      await client.query("checkpoint");
    },

    async drop() {
      await client.end();
      await drop();
    },
  };
}
