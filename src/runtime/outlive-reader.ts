/** Something that is written to, and says when that has failed. */
interface Writable {
  write(text: string): unknown;
  on?(event: "error", listener: (error: Error) => void): unknown;
}

/** Those that were given a listener. */
const outlived = new WeakSet<Writable>();

/**
 * Keeps the process alive when what it writes to is closed: whoever read it has
 * gone (`EPIPE`), and a line of a log that is lost is no reason to end. Without
 * a listener Node.js ends the process in the middle of its jobs. Gives back the
 * stream; each gets one listener, however often this is called.
 */
export function outliveReader<Stream extends Writable>(stream: Stream): Stream {
  if (!outlived.has(stream)) stream.on?.("error", ignore);
  outlived.add(stream);
  return stream;
}

function ignore(): void {}
