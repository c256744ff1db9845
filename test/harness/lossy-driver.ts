import { HowdahError } from "../../src/errors.ts";
import type { Driver, Query, QueryResult } from "../../src/postgres/driver.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { sqlError } from "./job-table.ts";

/** What becomes of one statement. */
export type Loss =
  /** It never arrives. */
  | "before"
  /** It is carried out, and its answer is lost. */
  | "after"
  /** Its sender is told that the connection is lost; it is carried out some time later. */
  | "later"
  /** It is carried out, and what comes back is an unknown error. */
  | "garbled"
  /** It is carried out; the answer takes its time. */
  | "slow"
  /** The server refuses it, this time. */
  | "refused";

const LOSSES: readonly Loss[] = ["before", "after", "later", "garbled", "slow", "refused"];
const REFUSALS = ["57014", "40001", "53300", "25006", "57P03"];

/** A driver that loses statements. */
export interface LossyDriver extends Driver {
  /** One statement in N is lost from now on; 0 for none. */
  loseOneIn(count: number): void;
  /** What was lost, as often as it was. */
  readonly lost: Readonly<Record<Loss, number>>;
}

/** Puts losses, the same for the same seed, in front of a driver. What happens inside of transactions is left alone. */
export function createLossyDriver(driver: Driver, seed: number): LossyDriver {
  const random = createRandom(seed);
  const lost: Record<Loss, number> = { before: 0, after: 0, later: 0, garbled: 0, slow: 0, refused: 0 };
  let oneIn = 0;

  async function query(statement: Query): Promise<QueryResult> {
    if (oneIn === 0 || random() * oneIn >= 1) return driver.query(statement);
    const loss = pick(LOSSES, random());
    const delayMs = random() * 30;
    const refusal = pick(REFUSALS, random());
    lost[loss] += 1;
    switch (loss) {
      case "before":
        throw new HowdahError("HOWDAH_CONNECTION_LOST", "lost before it was carried out");
      case "refused":
        throw sqlError(refusal);
      case "later":
        void systemClock.sleep(delayMs).then(() => driver.query(statement).catch(() => undefined));
        throw new HowdahError("HOWDAH_CONNECTION_LOST", "lost on its way");
      case "slow":
        await systemClock.sleep(delayMs);
        return driver.query(statement);
      case "after":
        await driver.query(statement);
        throw new HowdahError("HOWDAH_CONNECTION_LOST", "lost after it was carried out");
      case "garbled":
        await driver.query(statement);
        throw new TypeError("Cannot read properties of undefined (reading 'rows')");
      default:
        return loss satisfies never;
    }
  }
  return {
    query,
    transaction: (work) => driver.transaction(work),
    listen: (channels, handlers) => driver.listen(channels, handlers),
    close: () => driver.close(),
    loseOneIn(count) {
      oneIn = count;
    },
    lost,
  };
}

function pick<T>(choices: readonly T[], random: number): T {
  return choices[Math.floor(random * choices.length)] as T;
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
