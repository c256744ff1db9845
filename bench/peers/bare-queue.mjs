import pg from "pg";

/** What the serial scenario runs the bare queue with. */
export const SETTINGS = {
  default: { options: {}, source: "nothing to set: one statement a job" },
};

/**
 * The most that one serial queue can give: one durable statement a job, which deletes the job that is done and locks the
 * next, by primary key, over a plain `pg` connection. It looks at nothing else, and there is no library around it.
 */
export async function open(connectionString) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  return {
    install: () => client.query(TABLE),
    addBulk: (jobs) => client.query(ADD, [jobs.map(({ payload }) => JSON.stringify(payload))]),

    async startWorker(_settings, run) {
      let isStopping = false;
      const running = (async () => {
        let job = { id: "0" };
        while (job && !isStopping) {
          ({
            rows: [job],
          } = await client.query({ name: "next", text: NEXT, values: [job.id] }));
          if (job) await run(job.payload);
        }
      })();
      return {
        async stop() {
          isStopping = true;
          await running;
        },
      };
    },

    close: () => client.end(),
  };
}

const TABLE = `
  create table bare_job (
    id bigint generated always as identity primary key,
    payload json not null,
    locked_at timestamptz
  ) with (fillfactor = 40)`;
const ADD = "insert into bare_job (payload) select payload from unnest($1::json[]) as payload";
const NEXT = `
  with gone as (delete from bare_job where id = $1)
  update bare_job set locked_at = now()
  where id = (select id from bare_job where id > $1 order by id limit 1)
  returning id, payload`;
