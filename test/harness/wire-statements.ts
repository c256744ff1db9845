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
  /** What it said last: `I` outside of a transaction, `T` inside, `E` inside of one that failed. */
  #state = "I";

  /** Whether the server was inside of a transaction when it was last ready. */
  get isInside(): boolean {
    return this.#state !== "I";
  }

  /** How many statements have ended with this. */
  read(chunk: Buffer): number {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    let ended = 0;
    for (let next = takeMessage(this.#rest, 1); next; next = takeMessage(this.#rest, 1)) {
      if (next[0] === READY) {
        ended += 1;
        this.#state = next.toString("latin1", 5, 6);
      }
      this.#rest = this.#rest.subarray(next.length);
    }
    return ended;
  }
}

/** An error as a server would send it. */
export interface Refusal {
  /** The SQLSTATE. */
  readonly code: string;
  readonly message: string;
  /** `FATAL` ends the session. Default `ERROR`. */
  readonly severity?: "ERROR" | "FATAL";
}

/** The message of an error. */
export function refusalBytes({ code, message, severity = "ERROR" }: Refusal): Buffer {
  const fields = `S${severity}\0V${severity}\0C${code}\0M${message}\0\0`;
  return wireMessage("E", Buffer.from(fields));
}

/** The message of a server that is ready for the next statement. */
export function readyBytes(isInside: boolean): Buffer {
  return wireMessage("Z", Buffer.from(isInside ? "E" : "I"));
}

/** Whether a client's message is the last of its statement. */
export function isLastOfStatement(bytes: Buffer): boolean {
  return bytes[0] === SIMPLE || bytes[0] === SYNC;
}

function wireMessage(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const READY = "Z".charCodeAt(0);
const SIMPLE = "Q".charCodeAt(0);
const SYNC = "S".charCodeAt(0);

function takeMessage(bytes: Buffer, lengthAt: number): Buffer | undefined {
  if (bytes.length < lengthAt + 4) return undefined;
  const end = lengthAt + bytes.readInt32BE(lengthAt);
  return bytes.length < end ? undefined : bytes.subarray(0, end);
}
