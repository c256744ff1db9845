import pg from "pg";
import { open as openHowdah } from "./howdah.mjs";

/** What the scenarios run the bare loop with. */
export const SETTINGS = {
  tuned: { options: { batch: 500 }, source: "as many jobs a claim as one of the local queues holds" },
  large: { options: { batch: 2_000 }, source: "the same" },
  "batch-24": { options: { batch: 24 }, source: "as many jobs a claim as a worker has slots" },
};

/** Claims and deletes with Howdah's own two statements and nothing around them: the most that they can give. */
export async function open(connectionString) {
  const howdah = await openHowdah(connectionString);
  return {
    ...howdah,
    async startWorker(settings, run) {
      return runLoop({ ...(await openLoop(connectionString)), ...SETTINGS[settings].options, run });
    },
  };
}

/** The two statements of a worker on connections of their own, for one task `noop` and one priority. */
export async function openLoop(connectionString) {
  const pool = new pg.Pool({ connectionString, max: 2 });
  const { rows } = await pool.query("select id from howdah._private_tasks where identifier = 'noop'");
  const raw = { rowMode: "array", types: { getTypeParser: () => (text) => text } };
  let floor;
  let isFull = false;

  async function claim(quantity) {
    const [levels, ats, ids] = floor ? [["0"], [floor.at], [floor.id]] : [[], [], []];
    // As a worker does once a claim got all it asked for.
    const name = isFull ? "_howdah_claim_straight_v1" : "_howdah_claim_v1";
    const answer = await pool.query({
      ...raw,
      name,
      text: `select * from howdah.${name}($1, $2, $3, null, $4, $5, $6, '{}', $7, 0, null, 1)`,
      values: ["bare", quantity, [rows[0].id], levels, ats, ids, BEFORE_ALL],
    });
    const jobs = answer.rows.filter(([kind]) => kind === "job");
    isFull = jobs.length === quantity;
    floor = floorOf(answer.rows) ?? floor;
    return { ids: jobs.map(([, id]) => id), claimedAt: JSON.parse(answer.rows.at(-1).at(-1)).claimedAt };
  }

  function release({ ids, claimedAt }) {
    return pool.query({
      ...raw,
      name: "release",
      text: "select true from howdah._howdah_release_completed_v1($1, $2, $3, '{}', '{}', '{}')",
      values: ["bare", [claimedAt], ids],
    });
  }

  return { claim, release, close: () => pool.end() };
}

/** Claims the next batch while the one before it is released, until it is stopped. */
export function runLoop({ claim, release, close, batch, run }) {
  let isStopping = false;
  async function loop() {
    let releasing = Promise.resolve();
    while (!isStopping) {
      const claimed = await claim(batch);
      await releasing;
      if (claimed.ids.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        continue;
      }
      releasing = release(claimed).then(() => claimed.ids.forEach(run));
    }
    await releasing;
  }
  const running = loop();
  return {
    async stop() {
      isStopping = true;
      await running;
      await close();
    },
  };
}

const BEFORE_ALL = "-9223372036854775808";
/** Where this column stands in an answer of the claim. */
const RUN_AT = 6;

/** How far priority 0 has been seen. */
function floorOf(rows) {
  const said = rows.find(([kind]) => kind === "level");
  return said?.[RUN_AT] == null ? undefined : { at: said[RUN_AT], id: said[1] };
}
