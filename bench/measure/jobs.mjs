/** What a job of a drain is like: see {@link jobAt}. */
const DAY_OF_DUE_JOBS = "2100-01-01T00:00:00.000Z";

/**
 * Job number `n` of a load as the adapters' `addBulk` takes it. `queues` serial queues share all jobs (0: none have
 * one); `payloadBytes` is the size of its payload as JSON; `isMixed` makes it one of {@link mixedJobAt}.
 */
export function jobAt(n, { queues = 0, payloadBytes, isMixed = false }) {
  if (isMixed) return mixedJobAt(n);
  if (payloadBytes) return { payload: { n, text: textFor(n, payloadBytes) } };
  return queues === 0 ? { payload: { n } } : { payload: { n, q: n % queues }, queue: `queue-${n % queues}` };
}

/** Queues that the queued jobs of the mixed load are spread over. */
export const MIXED_QUEUES = 500;
/** In which time after the start the jobs of the mixed load that are due later become due. */
const DUE_WITHIN_MS = 2_000;

/**
 * A job of the mixed load: its handler takes 2 to 10 ms, three of ten are in a queue, one of ten is due later, one of
 * fifty fails at its first attempt, and there are five priorities. Those that fail have the best priority, so that
 * their second attempt, some seconds later, is due while others still run, and no side waits for it alone.
 */
function mixedJobAt(n) {
  const [tens, kind] = [Math.floor(n / 10), n % 10];
  const q = kind < 3 ? (tens * 3 + kind) % MIXED_QUEUES : undefined;
  const due = kind === 3 ? (tens * 37) % DUE_WITHIN_MS : undefined;
  const fails = isFailing(n);
  const payload = { n, ms: 2 + ((n * 7_919) % 9), ...(fails && { fails }) };
  if (q !== undefined) payload.q = q;
  if (due !== undefined) payload.due = due;
  return {
    payload,
    priority: fails ? 0 : tens % 5,
    queue: q === undefined ? undefined : `queue-${q}`,
    runAt: due === undefined ? undefined : new Date(Date.parse(DAY_OF_DUE_JOBS) + due).toISOString(),
  };
}

function isFailing(n) {
  return n % 50 === 4;
}

/** How many of the first `total` jobs of the mixed load fail once. */
export function failingJobs(total) {
  return Array.from({ length: total }, (_, n) => n).filter(isFailing).length;
}

/**
 * The statement that makes the jobs of the mixed load that are due later so from now on, in a table of the form that
 * Howdah and graphile-worker share.
 */
export function makeDueSql(table) {
  return `update ${table} set run_at = now() + (run_at - '${DAY_OF_DUE_JOBS}') where run_at >= '${DAY_OF_DUE_JOBS}'`;
}

/** Text that does not compress, another for each job, so that the payload has the size asked for. */
function textFor(n, payloadBytes) {
  const length = payloadBytes - JSON.stringify({ n, text: "" }).length;
  const from = (n * 61) % (NOISE.length - length);
  return NOISE.slice(from, from + length);
}

const NOISE = noise(64 * 1_024);

/** Letters and digits, the same in every run. */
function noise(length) {
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  let state = 1;
  return Array.from({ length }, () => {
    // The constants of Park and Miller.
    state = (state * 48_271) % 2_147_483_647;
    return letters[state % letters.length];
  }).join("");
}
