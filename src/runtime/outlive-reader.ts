/**
 * Keeps the process alive when the reader of a stream has ended (`EPIPE`): a
 * lost line of a log is no reason to end, and without a listener Node.js would
 * end the process in the middle of its jobs. Returns the stream; each gets one
 * listener, however often this is called.
 */
export function outliveReader<Stream extends Writable>(stream: Stream): Stream {
  if (!outlived.has(stream)) stream.on?.("error", ignore);
  outlived.add(stream);
  return stream;
}

/** A stream that emits its errors. */
interface Writable {
  write(text: string): unknown;
  on?(event: "error", listener: (error: Error) => void): unknown;
}

/** The streams that have a listener. */
const outlived = new WeakSet<Writable>();

function ignore(): void {}
