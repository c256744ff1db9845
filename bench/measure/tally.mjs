import { monotonicMs } from "./statistics.mjs";

/** How long a handler that is "spanned" takes. */
const SPAN_MS = 2;

/**
 * Counts what the handlers of a worker do. `handler` says what they do beside counting: nothing ("count"); give way
 * once and note how many jobs of one queue run at the same time ("watched"); take two milliseconds and note from when
 * to when which queue's job ran ("spanned"); or what the jobs of the mixed load ask for ("mixed"), with `base` as the
 * moment from which those that are due later are due. `marks` are counts at which the time and the memory are noted.
 */
export function createTally({ handler, marks, base }) {
  const notes = [];
  const queues = createQueueWatch();
  const failed = new Set();
  const lags = [];
  const spans = [];
  let next = 0;
  let cpu;

  function begin() {
    if (tally.firstAt !== undefined) return;
    tally.firstAt = monotonicMs();
    cpu = process.cpuUsage();
  }

  function count() {
    begin();
    tally.ran += 1;
    if (tally.ran !== marks[next]) return;
    notes.push({ ran: tally.ran, at: monotonicMs() - tally.firstAt, rssMb: process.memoryUsage.rss() / 1024 / 1024 });
    next += 1;
  }

  async function watched({ q }) {
    queues.enter(q);
    await new Promise((resolve) => setImmediate(resolve));
    queues.leave(q);
    count();
  }

  async function spanned({ q }) {
    begin();
    const from = monotonicMs();
    await new Promise((resolve) => setTimeout(resolve, SPAN_MS));
    spans.push({ q, from, to: monotonicMs() });
    count();
  }

  async function mixed({ n, q, ms, due, fails }) {
    begin();
    if (due !== undefined) lags.push(monotonicMs() - base - due);
    queues.enter(q);
    await new Promise((resolve) => setTimeout(resolve, ms));
    queues.leave(q);
    if (fails && !failed.has(n)) {
      failed.add(n);
      throw new Error("This attempt fails.");
    }
    count();
  }

  const tally = {
    ran: 0,
    firstAt: undefined,
    run: { count, watched, spanned, mixed }[handler],

    result() {
      const { user, system } = process.cpuUsage(cpu);
      return {
        ran: tally.ran,
        firstAt: tally.firstAt,
        cpuUs: user + system,
        maxRssMb: process.resourceUsage().maxRSS / 1024,
        marks: notes,
        mostAtOnce: queues.mostAtOnce,
        failed: failed.size,
        lags,
        spans,
      };
    },
  };
  return tally;
}

/** Notes how many jobs of one queue run at the same time; a job without one does not count. */
function createQueueWatch() {
  const running = new Map();
  const watch = {
    mostAtOnce: 0,
    enter(queue) {
      if (queue === undefined) return;
      const atOnce = (running.get(queue) ?? 0) + 1;
      running.set(queue, atOnce);
      watch.mostAtOnce = Math.max(watch.mostAtOnce, atOnce);
    },
    leave(queue) {
      if (queue !== undefined) running.set(queue, running.get(queue) - 1);
    },
  };
  return watch;
}
