import { HowdahError } from "../../errors.ts";

/**
 * Shares `total` connections out. `handlers` is what was asked for: 0 when there
 * are no handlers. Throws `HOWDAH_OPTION_INVALID` when too few are left.
 */
export function splitConnections(total: number, handlers?: number): ConnectionSplit {
  if (handlers !== undefined && handlers > 0) checkHandlers(total, handlers);
  const least = total > 1 && handlers !== 0 ? 1 : 0;
  const forHandlers = Math.max(least, handlers ?? (total > 1 ? Math.round((total * HANDLERS_OF_TEN) / 10) : 0));
  const waiting = Math.min(Math.round((total * WAITING_OF_TEN) / 10), total - forHandlers - 2);
  const forWaiting = total < LEAST_FOR_WAITING ? 0 : Math.max(1, waiting);
  return { engine: total - forHandlers - forWaiting, handlers: forHandlers, waiting: forWaiting };
}

/** What connections are used for: each has a number of its own, so that none can use up those of the others. */
export interface ConnectionSplit {
  /** Claims, releases, signs of life, reads, and the first try of adds. */
  readonly engine: number;
  /** `context.query` and `context.withTransaction`; 0 when there is no connection to keep apart for them. */
  readonly handlers: number;
  /** Adds that may wait for another transaction; 0 when they have to share those of the engine. */
  readonly waiting: number;
}

/** From this many connections on, work that waits has some of its own. */
const LEAST_FOR_WAITING = 4;

/** Of each ten connections, this many are for work that may wait, and for handlers unless it is said how many. */
const WAITING_OF_TEN = 3;
const HANDLERS_OF_TEN = 2;

function checkHandlers(total: number, handlers: number): void {
  const most = total < LEAST_FOR_WAITING ? total - 1 : total - 3;
  if (handlers <= most) return;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `Option \`handlerConnections\` must be smaller than the connections in all, which are ${total}, ` +
      `and leave some to the worker itself: at most ${most} here; found ${handlers}. Raise \`maxConnections\`, or the \`max\` of the pool.`,
  );
}
