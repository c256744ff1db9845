import pg from "pg";
import { openPeer } from "../peers/peers.mjs";
import { monotonicMs } from "./statistics.mjs";
import { createTally } from "./tally.mjs";

const REPORT_MS = 10;
const LOOK_MS = 2;

/**
 * Runs in a child: one worker of a side, whose handlers a tally counts. Reports its count until it is told to stop.
 * `leftSql` counts the jobs that are not done; without it the side is asked.
 */
export async function work({ peer: name, settings, connectionString, leftSql, handler, marks }, channel) {
  const peer = await openPeer(name, connectionString);
  const countLeft = leftSql === undefined ? () => peer.countLeft() : await observe(connectionString, leftSql);
  channel.send({ isReady: true, ran: 0 });
  const { base } = await channel.next();

  const tally = createTally({ handler, marks, base });
  const report = (more) =>
    channel.send({ isReady: true, ran: tally.ran, firstAt: tally.firstAt, at: monotonicMs(), ...more });
  const timer = setInterval(report, REPORT_MS);
  const worker = await peer.startWorker(settings, tally.run);
  while ((await channel.next()) !== "stop") {
    clearInterval(timer);
    report({ releasedAt: await untilReleased(countLeft) });
  }
  clearInterval(timer);
  // Whatever stopping takes is not part of the work.
  const result = tally.result();
  await within(10_000, worker.stop());
  return result;
}

/** A function that asks over a connection of its own. */
async function observe(connectionString, leftSql) {
  const observer = new pg.Client({ connectionString });
  await observer.connect();
  return async () => (await observer.query(leftSql)).rows[0].count;
}

/** Resolves with the time at which no job is left to run or to release. */
async function untilReleased(countLeft) {
  for (;;) {
    if ((await countLeft()) === 0) return monotonicMs();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Some peers take their time to stop; the process ends anyway. */
function within(ms, promise) {
  return Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms))]);
}
