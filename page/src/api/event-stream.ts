/** One event of a stream of server-sent events. */
export interface StreamEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string | undefined;
}

/**
 * Reads server-sent events from pieces of text, wherever they are cut. The
 * stream of the browser could not send a header, and tells no status.
 */
export class EventStreamReader {
  #rest = "";

  /** The events that this piece completes. */
  push(piece: string): StreamEvent[] {
    const blocks = (this.#rest + piece).replaceAll("\r\n", "\n").split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.flatMap((block) => readBlock(block) ?? []);
  }
}

/** Undefined for a comment, which only keeps the connection open. */
function readBlock(block: string): StreamEvent | undefined {
  let [event, id] = ["message", undefined as string | undefined];
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, name, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
    if (name === "event") event = value ?? "";
    if (name === "id") id = value;
    if (name === "data") data.push(value ?? "");
  }
  return data.length === 0 ? undefined : { event, data: data.join("\n"), id };
}
