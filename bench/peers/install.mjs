import { openPeer } from "./peers.mjs";

/** Runs in a child: makes what a peer needs, and registers its task by adding a first job. */
export async function install({ peer: name, connectionString }) {
  const peer = await openPeer(name, connectionString);
  await peer.install();
  await peer.addOne({ n: 0 });
  await peer.close();
}
