/**
 * Reads along what a server sends, for what a client library does not tell: the
 * state of the transaction, and what became of the last statement.
 */
export class WireTap {
  /** The state that the last answer came with: `I` outside of a transaction, `T` inside, `E` inside of one that failed. */
  status: string | undefined;
  /** What the server said when the last statement was done, such as `INSERT 0 3`. */
  tag = "";
  /** How many rows the last statement answered. */
  rows = 0;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headBytes = 0;
  #bodyBytesLeft = 0;
  #body = "";
  #rowsSoFar = 0;

  /** Takes what has arrived, which may begin and end in the middle of a message. */
  readonly read = (chunk: Buffer): void => {
    for (let at = 0; at < chunk.length;)
      at = this.#bodyBytesLeft > 0 ? this.#readBody(chunk, at) : this.#readHead(chunk, at);
  };

  #readHead(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + HEAD_BYTES - this.#headBytes);
    this.#headBytes += chunk.copy(this.#head, this.#headBytes, at, end);
    if (this.#headBytes < HEAD_BYTES) return end;
    this.#headBytes = 0;
    this.#body = "";
    // The length counts itself, and not the letter in front of it.
    this.#bodyBytesLeft = this.#head.readInt32BE(1) - HEAD_BYTES + 1;
    if (this.#bodyBytesLeft === 0) this.#end();
    return end;
  }

  #readBody(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#bodyBytesLeft);
    if (this.#is(COMPLETE) || this.#is(READY)) this.#body += chunk.toString("latin1", at, end);
    this.#bodyBytesLeft -= end - at;
    if (this.#bodyBytesLeft === 0) this.#end();
    return end;
  }

  #end(): void {
    if (this.#is(ROW)) this.#rowsSoFar += 1;
    else if (this.#is(COMPLETE)) this.#complete(this.#body.slice(0, -1));
    else if (this.#is(EMPTY)) this.#complete("");
    else if (this.#is(READY)) this.status = this.#body;
    else if (this.#is(FAILED)) this.#rowsSoFar = 0;
  }

  #complete(tag: string): void {
    this.tag = tag;
    this.rows = this.#rowsSoFar;
    this.#rowsSoFar = 0;
  }

  #is(letter: number): boolean {
    return this.#head[0] === letter;
  }
}

/** A letter and a length. */
const HEAD_BYTES = 5;

const ROW = "D".charCodeAt(0);
const COMPLETE = "C".charCodeAt(0);
const EMPTY = "I".charCodeAt(0);
const READY = "Z".charCodeAt(0);
const FAILED = "E".charCodeAt(0);
