import { createClient } from "../../src/client/create-client.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import type { LimitLine } from "./ledger.ts";
import { createRandom } from "./random.ts";
import type { Settings } from "./settings.ts";

/** Queues with rules, by what their names begin with, as `fixtures/producer.mjs` makes them. */
export const LANES = "lanes-";
export const RATED = "rated-";
export const POOLED = "pooled-";
const POOL = "shared";

/** Whether a queue has rules in a run. Others are serial, and stay so. */
export function isLimited(queue: string): boolean {
  return [LANES, RATED, POOLED].some((prefix) => queue.startsWith(prefix));
}

/** How many jobs of each rated queue start in a second, and at once. */
export interface ChaosRate {
  readonly limit: number;
  readonly burst: number;
}

/** Hardly more than the producers add to each: one job in a hundred is for each of the three. */
export function rateOf({ jobs, durationMs }: Pick<Settings, "jobs" | "durationMs">): ChaosRate {
  const perSecond = jobs / ((durationMs / 1_000) * 0.8);
  return { limit: Math.ceil(1 + perSecond / 80), burst: 3 };
}

/** How many lanes queues, and the pool, have in turns. */
const WIDTHS = [3, 1, 5, 2, "unlimited", 4] as const;
const POOL_WIDTHS = [4, 2, 6, 3] as const;
const REST_MS = 1_500;

/** Changes the rules of queues while a run goes on. */
export interface RuleChanger {
  /** Ends it, when the change under way has ended. */
  stop(): Promise<void>;
}

interface ChangerGround {
  readonly connectionString: string;
  readonly settings: Settings;
  readonly tell: (line: LimitLine) => void;
}

/** Sets the rules, and then changes how many lanes there are again and again. Resolves when the first ones are set. */
export async function startRuleChanger({ connectionString, settings, tell }: ChangerGround): Promise<RuleChanger> {
  const client = await createClient({ connectionString, migrate: false, logger: silentLogger, maxConnections: 1 });
  const random = createRandom(settings.seed);
  const stopping = new AbortController();
  const { limit, burst } = rateOf(settings);

  /** A limit holds from its line on, until the next line about the same begins to change it. */
  async function change(of: LimitLine["of"], width: LimitLine["width"]): Promise<void> {
    tell({ e: "limit", of, width: null });
    const concurrency = width ?? "unlimited";
    if (of === POOLED) await client.setQueuePool(POOL, { concurrency });
    else await client.setQueueRules(`${LANES}*`, { concurrency });
    tell({ e: "limit", of, width });
  }

  await change(POOLED, POOL_WIDTHS[0]);
  await client.setQueueRules(`${POOLED}*`, { concurrency: 2, pool: POOL });
  await client.setQueueRules(`${RATED}*`, { concurrency: "unlimited", rate: { limit, per: "1s", burst } });
  await change(LANES, WIDTHS[0]);

  async function goOn(): Promise<void> {
    while (!stopping.signal.aborted) {
      await systemClock.sleep(REST_MS, stopping.signal);
      const isPool = random.next() < 0.4;
      const width = isPool ? random.pick(POOL_WIDTHS) : random.pick(WIDTHS);
      // The server may be away. What holds then is not known until the next change.
      await change(isPool ? POOLED : LANES, width === "unlimited" ? null : width).catch(() => undefined);
    }
  }
  const going = goOn();
  return {
    async stop() {
      stopping.abort();
      await going;
      await client.close();
    },
  };
}
