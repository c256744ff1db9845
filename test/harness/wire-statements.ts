/** What a client has sent, as far as a proxy wants to know. */
export type Sent =
  /** The beginning of a statement; `text` is that of the prepared statement when it is run by its name. */
  | { readonly kind: "statement"; readonly text: string; readonly bytes: Buffer }
  | { readonly kind: "other"; readonly bytes: Buffer };

/** Reads the messages that a client of PostgreSQL sends, and knows which statement each of them is about. */
export class ClientMessages {
  readonly #prepared = new Map<string, string>();
  #rest: Buffer = Buffer.alloc(0);
  /** The first message has no type. */
  #isStarting = true;
  /** The text was told with the parse message, which comes before the bind message of the same statement. */
  #isAnnounced = false;

  /** The messages that are complete now, in order. */
  read(chunk: Buffer): Sent[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const messages: Sent[] = [];
    for (let next = this.#next(); next; next = this.#next()) messages.push(next);
    return messages;
  }

  #next(): Sent | undefined {
    const lengthAt = this.#isStarting ? 0 : 1;
    const bytes = takeMessage(this.#rest, lengthAt);
    if (!bytes) return undefined;
    this.#rest = this.#rest.subarray(bytes.length);
    if (this.#isStarting) {
      this.#isStarting = false;
      return { kind: "other", bytes };
    }
    const text = this.#textOf(bytes);
    return text === undefined ? { kind: "other", bytes } : { kind: "statement", text, bytes };
  }

  #textOf(bytes: Buffer): string | undefined {
    const type = String.fromCharCode(bytes[0] ?? 0);
    const [first = "", second = ""] = bytes.toString("utf8", 5).split("\0", 2);
    if (type === "Q") return first;
    if (type === "S") this.#isAnnounced = false;
    if (type === "P") {
      this.#prepared.set(first, second);
      this.#isAnnounced = true;
      return second;
    }
    return type === "B" && !this.#isAnnounced ? this.#prepared.get(second) : undefined;
  }
}

/** Counts how often a server has said that it is ready for the next statement. */
export class ServerMessages {
  #rest: Buffer = Buffer.alloc(0);

  /** How many statements have ended with this. */
  read(chunk: Buffer): number {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    let ended = 0;
    for (let next = takeMessage(this.#rest, 1); next; next = takeMessage(this.#rest, 1)) {
      if (next[0] === READY) ended += 1;
      this.#rest = this.#rest.subarray(next.length);
    }
    return ended;
  }
}

const READY = "Z".charCodeAt(0);

function takeMessage(bytes: Buffer, lengthAt: number): Buffer | undefined {
  if (bytes.length < lengthAt + 4) return undefined;
  const end = lengthAt + bytes.readInt32BE(lengthAt);
  return bytes.length < end ? undefined : bytes.subarray(0, end);
}
