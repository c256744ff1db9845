import { openPeer } from "../peers/peers.mjs";

const BATCH = 5_000;

/** Runs in a child: creates what the peer needs in the database and adds `total` jobs over `queues` queues (0: none). */
export async function fill({ peer: name, connectionString, total, queues = 0 }) {
  const peer = await openPeer(name, connectionString);
  await peer.install();
  for (let from = 0; from < total; from += BATCH) {
    const size = Math.min(BATCH, total - from);
    await peer.addBulk(Array.from({ length: size }, (_, index) => jobAt(from + index, queues)));
  }
  await peer.close();
}

function jobAt(n, queues) {
  return queues === 0 ? { payload: { n } } : { payload: { n, q: n % queues }, queue: `queue-${n % queues}` };
}
