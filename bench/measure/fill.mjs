import { openPeer } from "../peers/peers.mjs";
import { jobAt } from "./jobs.mjs";

const BATCH = 5_000;

/** Runs in a child: creates what the peer needs in the database and adds `total` jobs of a load, see `jobAt`. */
export async function fill({ peer: name, connectionString, total, load = {} }) {
  const peer = await openPeer(name, connectionString);
  await peer.install();
  for (let from = 0; from < total; from += BATCH) {
    const size = Math.min(BATCH, total - from);
    await peer.addBulk(Array.from({ length: size }, (_, index) => jobAt(from + index, load)));
  }
  await peer.close();
}
