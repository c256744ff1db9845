import { openPeer } from "../peers/peers.mjs";
import { monotonicMs } from "./statistics.mjs";

const REPORT_MS = 10;
const LOOK_MS = 2;

/**
 * Runs in a child: one worker of a side, whose handler only counts. Reports its count until it is told to stop.
 * `marks` are counts at which the time and the memory are noted. With `watchQueues` the handler gives way once and
 * notes how many jobs of one queue were running at the same time.
 */
export async function work({ peer: name, settings, connectionString, watchQueues, marks }, channel) {
  const peer = await openPeer(name, connectionString);
  const tally = createTally(marks);
  channel.send({ isReady: true, ran: 0 });
  await channel.next();

  const report = (more) =>
    channel.send({ isReady: true, ran: tally.ran, firstAt: tally.firstAt, at: monotonicMs(), ...more });
  const timer = setInterval(report, REPORT_MS);
  const worker = await peer.startWorker(settings, watchQueues ? tally.watched : tally.count);
  for (;;) {
    const message = await channel.next();
    if (message === "stop") break;
    clearInterval(timer);
    report({ releasedAt: await untilReleased(peer, message.untilReleased) });
  }
  clearInterval(timer);
  // Whatever stopping takes is not part of the work.
  const result = tally.result();
  await within(10_000, worker.stop());
  return result;
}

/** Resolves with the time at which no job is left to run or to release. */
async function untilReleased(peer, total) {
  for (;;) {
    if ((await peer.countLeft(total)) === 0) return monotonicMs();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Some peers take their time to stop; the process ends anyway. */
function within(ms, promise) {
  return Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms))]);
}

function createTally(marks) {
  const notes = [];
  const running = new Map();
  let next = 0;
  let cpu;
  let mostAtOnce = 0;
  const tally = {
    ran: 0,
    firstAt: undefined,

    count() {
      if (tally.firstAt === undefined) {
        tally.firstAt = monotonicMs();
        cpu = process.cpuUsage();
      }
      tally.ran += 1;
      if (tally.ran !== marks[next]) return;
      notes.push({ ran: tally.ran, at: monotonicMs() - tally.firstAt, rssMb: rssMb() });
      next += 1;
    },

    async watched({ q }) {
      const atOnce = (running.get(q) ?? 0) + 1;
      running.set(q, atOnce);
      mostAtOnce = Math.max(mostAtOnce, atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      running.set(q, running.get(q) - 1);
      tally.count();
    },

    result() {
      const { user, system } = process.cpuUsage(cpu);
      return {
        ran: tally.ran,
        firstAt: tally.firstAt,
        cpuUs: user + system,
        maxRssMb: process.resourceUsage().maxRSS / 1024,
        marks: notes,
        mostAtOnce,
      };
    },
  };
  return tally;
}

function rssMb() {
  return process.memoryUsage.rss() / 1024 / 1024;
}
