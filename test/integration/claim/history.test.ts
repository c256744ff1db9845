import type pg from "pg";
import { afterAll, expect, it } from "vitest";
import { isTransient, sqlStateOf } from "../../../src/postgres/sqlstate.ts";
import type { ReleaseRequest } from "../../../src/postgres/queries/ending/release-request.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { changeOf, createClaims, empty, type Claims } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

// Many sessions do everything that can be done to jobs, at random and at once.
const database = await createDatabase();
afterAll(() => database.drop());

const SESSIONS = 8;
const QUEUES = 12;
const KEYS = 60;

/** What the sessions have seen of each other. */
class Record {
  /** Who runs a job of which queue. */
  readonly holders = new Map<string, string>();
  /** How often each claim of a job was released. */
  readonly releases = new Map<string, number>();
  readonly problems: string[] = [];
  operations = 0;

  hold(queue: string, worker: string): void {
    const holder = this.holders.get(queue);
    if (holder !== undefined) this.problems.push(`queue ${queue} was given to ${worker} while ${holder} had it`);
    this.holders.set(queue, worker);
  }
}

interface HeldChain {
  readonly queue: string | null;
  readonly claimedAt: string;
  readonly ids: string[];
}

/** One session: a worker that claims and releases, and a user that adds and changes. */
class Session {
  readonly #id: string;
  readonly #client: pg.Client;
  readonly #claims: Claims;
  readonly #record: Record;
  readonly #random: () => number;
  readonly #mayUnlock: boolean;
  readonly #held: HeldChain[] = [];
  readonly #doubtful: { readonly ending: Partial<ReleaseRequest>; readonly claim: string }[] = [];

  constructor(
    id: string,
    client: pg.Client,
    parts: { claims: Claims; record: Record; random: () => number; mayUnlock: boolean },
  ) {
    this.#id = id;
    this.#client = client;
    this.#claims = parts.claims;
    this.#record = parts.record;
    this.#random = parts.random;
    this.#mayUnlock = parts.mayUnlock;
  }

  async run(untilMs: number): Promise<void> {
    while (systemClock.monotonic() < untilMs) {
      this.#record.operations += 1;
      await this.#step();
    }
  }

  /** Releases all that is held. */
  async finish(): Promise<void> {
    while (this.#held.length > 0) await this.#end();
  }

  async #step(): Promise<void> {
    const dice = this.#random();
    if (dice < 0.25) return this.#claim();
    if (dice < 0.54) return this.#end();
    if (dice < 0.6) return this.#repeat();
    if (dice < 0.62) return this.#user("select howdah._howdah_clean_up_queues_v1(100)");
    if (dice < 0.64 && this.#mayUnlock)
      return this.#user("select howdah.force_unlock_workers($1)", [[this.#someWorker()]]);
    if (dice < 0.7) return this.#user("select howdah.remove_job($1)", [this.#key()]);
    if (dice < 0.75) {
      const run = "now() + (random() - 0.8) * interval '1 s'";
      return this.#user(
        `select howdah.reschedule_jobs(${this.#someIds()}, run_at => ${run}, priority => ${this.#below(3)})`,
      );
    }
    if (dice < 0.78) return this.#user(`select howdah.complete_jobs(${this.#someIds()})`);
    return this.#add();
  }

  async #claim(): Promise<void> {
    if (this.#held.length > 4) return this.#end();
    const chainLength = this.#random() < 0.5 ? 1 : 4;
    const answer = await this.#internal("claim", () =>
      this.#claims.claim({ quantity: 1 + this.#below(6), chainLength }),
    );
    if (!answer) return;
    const queues = new Map<string, HeldChain>();
    for (const { id, queueId } of answer.jobs) {
      const queue = queueId === null ? null : String(queueId);
      const known = queue === null ? undefined : queues.get(queue);
      const chain = known ?? { queue, claimedAt: answer.claimedAt, ids: [] };
      chain.ids.push(id);
      if (known) continue;
      this.#held.push(chain);
      if (queue !== null) {
        queues.set(queue, chain);
        this.#record.hold(queue, this.#id);
      }
    }
    for (const { ids } of this.#held) ids.sort((a, b) => Number(a) - Number(b));
  }

  /** Ends the first job of a chain, and with the last one the chain. */
  async #end(): Promise<void> {
    const chain = this.#held.splice(this.#below(this.#held.length), 1)[0];
    const id = chain?.ids.shift();
    if (!chain || id === undefined) return;
    const isLast = chain.ids.length === 0;
    const { queue, claimedAt } = chain;
    const chainEnds = isLast && queue !== null ? [{ queueId: Number(queue), lastJobId: id, claimedAt }] : [];
    // Before it is sent: as soon as it commits, others may have the queue.
    if (isLast && queue !== null) this.#record.holders.delete(queue);
    await this.#release({ ...this.#outcome(id), claimTimes: [claimedAt], chainEnds }, `${id} of ${claimedAt}`);
    if (!isLast) this.#held.push(chain);
  }

  #outcome(id: string): Partial<ReleaseRequest> {
    const dice = this.#random();
    if (dice < 0.6) return { completed: [id] };
    if (dice < 0.8) return { changed: [changeOf(id, { message: "no", delayMs: this.#below(50) })] };
    return { changed: [changeOf(id, { refund: true })] };
  }

  async #release(ending: Partial<ReleaseRequest>, claim: string): Promise<void> {
    for (;;) {
      const answer = await this.#internal("release", () => this.#claims.release(ending));
      if (!answer) continue;
      if (answer.unreleased.size === 0) {
        this.#record.releases.set(claim, (this.#record.releases.get(claim) ?? 0) + 1);
      } else if (!this.#mayUnlock) {
        this.#record.problems.push(`${claim}: ${[...answer.unreleased.values()].join()}`);
      }
      break;
    }
    if (this.#random() < 0.25) this.#doubtful.push({ ending, claim });
  }

  /** Sends a release again, as after a lost answer; who knows what has happened since. */
  async #repeat(): Promise<void> {
    const { ending, claim } = this.#doubtful.shift() ?? {};
    const again = ending && (await this.#internal("release", () => this.#claims.release(ending)));
    if (again && again.unreleased.size === 0) this.#record.problems.push(`${claim} was released a second time`);
  }

  async #add(): Promise<void> {
    const keys = [this.#key(), this.#key()];
    await this.#user("begin");
    for (const key of this.#random() < 0.5 ? keys.slice(1) : [...new Set(keys)].sort()) {
      const queue = this.#random() < 0.8 ? `q${this.#below(QUEUES)}` : null;
      const values = [key, queue, this.#below(3)];
      await this.#user("select howdah.add_job('t', job_key => $1, queue_name => $2, priority => $3)", values);
    }
    await this.#user(this.#random() < 0.9 ? "commit" : "rollback");
  }

  async #internal<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      // A user's transaction held one of the jobs for a tenth of a second.
      if (name !== "release" || sqlStateOf(error) !== "55P03") this.#record.problems.push(`${name}: ${String(error)}`);
      return undefined;
    }
  }

  /** Users may have to repeat what they do; nothing else may happen to them. */
  async #user(text: string, values: unknown[] = []): Promise<void> {
    try {
      await this.#client.query(text, values);
    } catch (error) {
      const isRefused = ["25P02", "GWNOR"].includes(sqlStateOf(error) ?? "");
      if (!isTransient(error) && !isRefused) this.#record.problems.push(`${text}: ${String(error)}`);
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
  #key(): string {
    return `k${this.#below(KEYS)}`;
  }
  #someWorker(): string {
    return `w${this.#below(SESSIONS)}`;
  }
  #someIds(): string {
    return `array(select id from howdah._private_jobs where key in ('${this.#key()}', '${this.#key()}'))`;
  }
}

async function play({ seconds, mayUnlock }: { seconds: number; mayUnlock: boolean }) {
  await empty(database);
  const seed = Math.floor(Math.random() * 2 ** 31);
  const record = new Record();
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS }, async (_, index) => {
      const client = await database.connect();
      const claims = await createClaims(database, `w${index}`, client);
      return new Session(`w${index}`, client, { claims, record, random: randomFrom(seed + index), mayUnlock });
    }),
  );
  const deadline = systemClock.monotonic() + seconds * 1_000;
  await Promise.all(sessions.map((session) => session.run(deadline)));
  for (const session of sessions) await session.finish();
  const [left] = await database.sql(`
    select
      (select count(*)::int from howdah._private_jobs where locked_at is not null) as jobs,
      (select count(*)::int from howdah._private_job_queues where locked_at is not null) as queues,
      (
        select count(*)::int from howdah._private_jobs as job
        where job_queue_id is not null
          and not exists (select from howdah._private_job_queues as queue where queue.id = job.job_queue_id)
      ) as dangling`);
  return { seed, record, left };
}

/** Numbers from 0 to 1 that follow from a seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

it("never gives a queue to two at once, releases every claim once, and leaves nothing locked, whatever happens beside it", async () => {
  const { seed, record, left } = await play({ seconds: 10, mayUnlock: false });
  expect(record.problems, `seed ${seed}`).toEqual([]);
  expect(left, `seed ${seed}`).toEqual({ jobs: 0, queues: 0, dangling: 0 });
  const counts = [...record.releases.values()];
  expect(counts.every((count) => count === 1)).toBe(true);
  expect(counts.length).toBeGreaterThan(100);
});

it("leaves nothing locked and never meets a deadlock while operators unlock workers that are alive", async () => {
  const { seed, record, left } = await play({ seconds: 5, mayUnlock: true });
  // Two may then have a queue at once: that is what the operator's word means.
  const problems = record.problems.filter((problem) => !problem.startsWith("queue "));
  expect(problems, `seed ${seed}`).toEqual([]);
  expect(left, `seed ${seed}`).toEqual({ jobs: 0, queues: 0, dangling: 0 });
});
