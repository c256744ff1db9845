import pg from "pg";

/** What the latency scenario runs the bare statements with. */
export const SETTINGS = {
  default: { options: {}, source: "nothing to set: three statements and a notification" },
};

/**
 * What the protocol of all sides costs without any of them: one insert that notifies, one session that listens, one
 * update that locks the row, each prepared and committed, over three plain `pg` connections.
 */
export async function open(connectionString) {
  const connect = async () => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    return client;
  };
  const producer = await connect();
  const sessions = [producer];

  return {
    install: () => producer.query(TABLE),
    addOne: (payload) => producer.query({ name: "add", text: ADD, values: [JSON.stringify(payload)] }),

    async startWorker(_settings, run) {
      const listener = await connect();
      const worker = await connect();
      sessions.push(listener, worker);
      const runOne = async (id) => {
        const { rows } = await worker.query({ name: "claim", text: CLAIM, values: [id] });
        run(rows[0].payload);
        await worker.query({ name: "release", text: RELEASE, values: [id] });
      };
      listener.on("notification", ({ payload }) => void runOne(payload));
      await listener.query("listen bare_job");
      return { stop: async () => {} };
    },

    async close() {
      await Promise.all(sessions.map((session) => session.end()));
    },
  };
}

const TABLE = `
  create table bare_job (
    id bigint generated always as identity primary key,
    payload json not null,
    locked_at timestamptz
  ) with (fillfactor = 40)`;
const ADD = `
  with added as (insert into bare_job (payload) values ($1) returning id)
  select pg_notify('bare_job', id::text) from added`;
const CLAIM = "update bare_job set locked_at = now() where id = $1 returning payload";
const RELEASE = "delete from bare_job where id = $1";
