import { setTimeout as sleep } from "node:timers/promises";

/** How long a process has for what it does after its handlers: the releases of the last jobs. */
const AFTER_MS = 50;

/**
 * Runs in a child: one worker of a tree, whose bench/peers/howdah.mjs `module` is. Each message lets it run `size`
 * jobs; then its handlers wait, and the processor time that the process used is sent back.
 */
export async function work({ module, settings, connectionString, size }, channel) {
  const { open } = await import(module);
  const howdah = await open(connectionString);
  const gate = createGate();
  const worker = await howdah.startWorker(settings, gate.pass);
  channel.send({ isReady: true });
  while ((await channel.next()) !== "stop") {
    const from = process.cpuUsage();
    await gate.open(size);
    await sleep(AFTER_MS);
    const { user, system } = process.cpuUsage(from);
    channel.send({ cpuUs: user + system });
  }
  void gate.open(Number.POSITIVE_INFINITY);
  await worker.stop();
  await howdah.close();
}

/** Lets as many through as it was opened for; the others wait. */
function createGate() {
  let left = 0;
  let isPassed = withResolvers();
  let isOpen = withResolvers();
  const pass = () => {
    if (left === 0) return isOpen.promise.then(pass);
    left -= 1;
    if (left > 0) return undefined;
    isOpen = withResolvers();
    isPassed.resolve();
    return undefined;
  };
  return {
    pass,
    /** Resolves when `count` have passed. */
    open(count) {
      left = count;
      isPassed = withResolvers();
      isOpen.resolve();
      return isPassed.promise;
    },
  };
}

function withResolvers() {
  let resolve;
  const promise = new Promise((settle) => (resolve = settle));
  return { promise, resolve };
}
