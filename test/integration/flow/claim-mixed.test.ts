import { expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";

/** Writes down how many tokens each change of a bucket spends. */
const WATCH_TOKENS = `
  create table public.spent (owner_id integer, tokens numeric);
  create function public.note_spent() returns trigger language plpgsql as $$ begin
    insert into public.spent values (new.owner_id, round(extract(epoch from new.next_at - greatest(
      old.next_at, now() - (old.burst - 1) * old.token_us * interval '1 microsecond'
    )) * 1000000 / new.token_us));
    return null;
  end $$;
  create trigger note_spent after update on howdah._howdah_buckets for each row execute function public.note_spent()`;

const CLAIM = `
  select id, queue_name, extras from howdah._howdah_claim_v2(
    $1, 10, array[1], null, '{}', '{}', '{}', array(select id from howdah._private_job_queues), null, null, 0, 1, 10
  ) where kind = 'job'`;

const RELEASE = `
  with done as (delete from howdah._private_jobs where id = any($1::bigint[]))
  update howdah._howdah_lanes set locked_at = null, locked_by = null where locked_by = $2`;

it("claims of queues with rates, with lanes and of a pool together spend a token, and take a lane, for each job", async () => {
  await using database = await createDatabase();
  const client = clientOver({ driver: database.driver, schema: database.schema, logger: silentLogger });
  await client.setQueuePool("shared", { concurrency: 4 });
  await client.setQueueRules("lanes-*", { concurrency: 2 });
  await client.setQueueRules("pooled-*", { concurrency: 2, pool: "shared" });
  await client.setQueueRules("rated-*", { concurrency: "unlimited", rate: { limit: 20, per: "1s", burst: 3 } });
  const kinds = ["rated", "pooled", "lanes"];
  const jobs = Array.from({ length: 2_400 }, (_, index) => `${kinds[index % 3]}-${Math.floor(index / 3) % 3}`);
  await client.addJobs(jobs.map((queueName) => ({ task: "t", spec: { queueName } })));
  await database.sql(WATCH_TOKENS);
  let rated = 0;
  const withoutLane: string[] = [];
  const endsAt = systemClock.monotonic() + 2_000;
  const claimers = Array.from({ length: 6 }, async (_, index) => {
    const session = await database.connect();
    while (systemClock.monotonic() < endsAt) {
      const { rows } = await session.query<{ id: string; queue_name: string; extras: string }>(CLAIM, [`w${index}`]);
      for (const { id, queue_name: queue, extras } of rows) {
        if (queue.startsWith("rated")) rated += 1;
        else if ((JSON.parse(extras) as { lane: number }).lane === 0) withoutLane.push(id);
      }
      await session.query(RELEASE, [rows.map(({ id }) => id), `w${index}`]);
    }
  });
  await Promise.all(claimers);
  const [spent] = await database.sql("select sum(tokens)::integer as tokens from public.spent");
  expect(rated).toBeGreaterThan(100);
  expect(spent?.["tokens"]).toBe(rated);
  expect(withoutLane).toEqual([]);
  await client.close();
}, 30_000);
