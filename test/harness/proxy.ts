import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { systemClock } from "../../src/runtime/clock.ts";
import {
  ClientMessages,
  isLastOfStatement,
  readyBytes,
  type Refusal,
  refusalBytes,
  ServerMessages,
} from "./wire-statements.ts";

/** Which way bytes go: `up` to the server, `down` to the client. */
export type Direction = "up" | "down";

/** Where a statement is stopped: before the server has seen it, or when it has ended and its answer is on the way. */
export type CatchPoint = "before" | "after";

/** A statement that stands still between client and server. Nothing of its connection passes until one of these is called. */
export interface Caught {
  readonly text: string;
  /** Lets it go on as if nothing had been. */
  pass(): void;
  /** Ends the connection on both sides; caught `before`, the server never sees the statement. */
  cut(): void;
  /** Ends the connection on the client's side only. Caught `before`, the statement reaches the server all the same, later. */
  cutClient(): void;
}

/** A way to PostgreSQL that can be broken. Processes may go through it as well: it is a TCP port of this machine. */
export interface Proxy extends AsyncDisposable {
  readonly connectionString: string;
  /** How many connections lead through it now. */
  readonly connections: number;
  /** How many connections have ended so far. */
  readonly ended: number;
  /** Every statement that was sent so far, in the order of sending. */
  readonly statements: readonly string[];
  /**
   * Stops the next statement whose text (for a prepared one: whose text when it
   * was prepared) holds `part`. Each call stops one statement.
   */
  next(part: string | RegExp, at: CatchPoint): Promise<Caught>;
  /**
   * Answers statements with an error, as the server would, which never sees them: all that come after `after`
   * further ones, or only the first of these. `rollback` passes. Counts over all connections; `allow` ends it.
   */
  answer(refusal: Refusal, which: { readonly after: number; readonly once?: boolean }): void;
  /** How many statements were answered here. */
  readonly answered: number;
  /** Ends all connections, with a reset. */
  cut(): void;
  /**
   * Loses all connections without a word, as a router does that forgets them:
   * the server's side ends, the client's hears nothing any more. New ones work.
   */
  strand(): void;
  /** Ends every connection, those to come too, once N further bytes have gone one way over it. `allow` ends that. */
  cutAfter(direction: Direction, bytes: number): void;
  /** Ends all connections, and every new one at once, until `allow`. */
  refuse(): void;
  /** Ends every new connection at once, until `allow`; those that are there go on. */
  turnAway(): void;
  /** Bytes of connections old and new go nowhere until `allow`; then they arrive, as after a cable was plugged in again. */
  hold(direction?: Direction): void;
  /** Bytes take so much longer, in order. 0 ends it. */
  delay(direction: Direction, ms: number): void;
  /** Ends `refuse`, `turnAway`, `hold`, `answer` and `cutAfter`. */
  allow(): void;
  /** Ends everything. */
  close(): Promise<void>;
}

/** Opens a proxy in front of the server of `connectionString`. */
export async function openProxy(connectionString: string): Promise<Proxy> {
  const target = new URL(connectionString);
  const proxy = new TcpProxy({ host: target.hostname, port: Number(target.port || 5432) });
  const { port } = await proxy.listen();
  target.hostname = "127.0.0.1";
  target.port = String(port);
  return Object.assign(proxy, { connectionString: target.href });
}

interface Trap {
  readonly part: string | RegExp;
  readonly at: CatchPoint;
  caught(caught: Caught): void;
}

interface Faults {
  readonly held: Set<Direction>;
  readonly delayMs: Record<Direction, number>;
  readonly cutAfter: Record<Direction, number>;
  readonly traps: Trap[];
  readonly statements: string[];
  answers: { readonly refusal: Refusal; readonly once: boolean; left: number } | undefined;
  answered: number;
}

class TcpProxy {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #faults: Faults = {
    held: new Set(),
    delayMs: { up: 0, down: 0 },
    cutAfter: { up: Number.POSITIVE_INFINITY, down: Number.POSITIVE_INFINITY },
    traps: [],
    statements: [],
    answers: undefined,
    answered: 0,
  };
  #refuses = false;
  #ended = 0;

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  get connections(): number {
    return this.#links.size;
  }

  get ended(): number {
    return this.#ended;
  }

  get statements(): readonly string[] {
    return this.#faults.statements;
  }

  async listen(): Promise<AddressInfo> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this.#server.address() as AddressInfo;
  }

  next(part: string | RegExp, at: CatchPoint): Promise<Caught> {
    return new Promise((caught) => this.#faults.traps.push({ part, at, caught }));
  }

  answer(refusal: Refusal, { after, once = false }: { readonly after: number; readonly once?: boolean }): void {
    this.#faults.answers = { refusal, once, left: after };
  }

  get answered(): number {
    return this.#faults.answered;
  }

  cut(): void {
    for (const link of this.#links) link.cut();
  }

  strand(): void {
    for (const link of this.#links) link.strand();
  }

  cutAfter(direction: Direction, bytes: number): void {
    this.#faults.cutAfter[direction] = bytes;
    for (const link of this.#links) link.count(direction);
  }

  refuse(): void {
    this.turnAway();
    this.cut();
  }

  turnAway(): void {
    this.#refuses = true;
  }

  hold(direction?: Direction): void {
    for (const each of direction ? [direction] : (["up", "down"] as const)) this.#faults.held.add(each);
  }

  delay(direction: Direction, ms: number): void {
    this.#faults.delayMs[direction] = ms;
  }

  allow(): void {
    this.#refuses = false;
    this.#faults.held.clear();
    this.#faults.answers = undefined;
    this.#faults.cutAfter.up = Number.POSITIVE_INFINITY;
    this.#faults.cutAfter.down = Number.POSITIVE_INFINITY;
    for (const link of this.#links) link.flush();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(client: Socket): void {
    client.on("error", ignore);
    if (this.#refuses) {
      client.resetAndDestroy();
      return;
    }
    const link = new Link({ client, server: connect(this.#target), faults: this.#faults });
    this.#links.add(link);
    client.on("close", () => {
      this.#links.delete(link);
      this.#ended += 1;
    });
  }
}

interface LinkParts {
  readonly client: Socket;
  readonly server: Socket;
  readonly faults: Faults;
}

/** One connection of a client, and the one to the server that belongs to it. */
class Link {
  readonly #parts: LinkParts;
  readonly #fromClient = new ClientMessages();
  readonly #fromServer = new ServerMessages();
  readonly #waiting: Record<Direction, Buffer[]> = { up: [], down: [] };
  readonly #arrivals: Record<Direction, Promise<void>> = { up: Promise.resolve(), down: Promise.resolve() };
  readonly #left: Record<Direction, number>;
  /** The client's side is left alone, and hears nothing. */
  #isStranded = false;
  /** A statement of this connection stands still in this direction. */
  #stopped: Direction | undefined;
  /** The rest of a statement that was answered here goes nowhere. */
  #isDropping = false;
  /** A statement that is stopped when it has ended. */
  #awaited: { readonly trap: Trap; readonly text: string } | undefined;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.#left = { ...parts.faults.cutAfter };
    const { client, server } = parts;
    for (const socket of [client, server]) socket.setNoDelay(true);
    server.on("error", ignore);
    client.on("data", (chunk) => this.#arrived("up", chunk));
    server.on("data", (chunk) => this.#arrived("down", chunk));
    client.on("close", () => server.end());
    server.on("close", () => this.#isStranded || client.end());
  }

  /** Begins to count the bytes of one direction. */
  count(direction: Direction): void {
    this.#left[direction] = this.#parts.faults.cutAfter[direction];
  }

  cut(): void {
    this.#parts.client.resetAndDestroy();
    this.#parts.server.resetAndDestroy();
  }

  strand(): void {
    this.#isStranded = true;
    this.#parts.server.resetAndDestroy();
  }

  flush(): void {
    this.#send("up");
    this.#send("down");
  }

  #arrived(direction: Direction, chunk: Buffer): void {
    const ms = this.#parts.faults.delayMs[direction];
    // In order, also when the delay has changed meanwhile.
    this.#arrivals[direction] = this.#arrivals[direction].then(async () => {
      if (ms > 0) await systemClock.sleep(ms);
      if (direction === "up") this.#readUp(chunk);
      else this.#readDown(chunk);
      this.#send(direction);
    });
  }

  #readUp(chunk: Buffer): void {
    for (const message of this.#fromClient.read(chunk)) {
      if (this.#isDropping || (message.kind === "statement" && this.#isAnswered(message.text))) {
        this.#drop(message.bytes);
        continue;
      }
      if (message.kind === "statement") this.#meet(message.text);
      this.#waiting.up.push(message.bytes);
      if (this.#stopped === undefined) this.#send("up");
    }
  }

  /** Sends the error of a statement that the server is not to see; true when this is one. */
  #isAnswered(text: string): boolean {
    const { client, faults } = this.#parts;
    const { answers } = faults;
    if (!answers || /^\s*rollback/i.test(text)) return false;
    answers.left -= 1;
    if (answers.left >= 0) return false;
    if (answers.once) faults.answers = undefined;
    faults.answered += 1;
    faults.statements.push(text);
    client.write(refusalBytes(answers.refusal));
    if (answers.refusal.severity === "FATAL") client.end();
    return true;
  }

  /** The client waits for the server until the last message of its statement. */
  #drop(bytes: Buffer): void {
    this.#isDropping = !isLastOfStatement(bytes);
    const { client } = this.#parts;
    if (!this.#isDropping && client.writable) client.write(readyBytes(this.#fromServer.isInside));
  }

  #readDown(chunk: Buffer): void {
    this.#waiting.down.push(chunk);
    if (this.#fromServer.read(chunk) === 0 || !this.#awaited) return;
    const { trap, text } = this.#awaited;
    this.#awaited = undefined;
    trap.caught(this.#caught(text));
  }

  #meet(text: string): void {
    const { traps, statements } = this.#parts.faults;
    statements.push(text);
    if (this.#stopped !== undefined) return;
    const index = traps.findIndex(({ part }) => (typeof part === "string" ? text.includes(part) : part.test(text)));
    const [trap] = index < 0 ? [] : traps.splice(index, 1);
    if (trap === undefined) return;
    this.#stopped = trap.at === "before" ? "up" : "down";
    if (trap.at === "before") trap.caught(this.#caught(text));
    else this.#awaited = { trap, text };
  }

  #caught(text: string): Caught {
    const { client } = this.#parts;
    const pass = (): void => {
      this.#stopped = undefined;
      this.flush();
    };
    return {
      text,
      pass,
      cut: () => this.cut(),
      cutClient() {
        client.resetAndDestroy();
        // The end of the server's side, which follows from that of the client, comes after what was sent before.
        pass();
      },
    };
  }

  #send(direction: Direction): void {
    const { client, server, faults } = this.#parts;
    if (this.#isStranded) return;
    if (faults.held.has(direction) || this.#stopped === direction) return;
    for (const bytes of this.#waiting[direction].splice(0)) {
      (direction === "up" ? server : client).write(bytes.subarray(0, this.#left[direction]));
      this.#left[direction] -= bytes.length;
      if (this.#left[direction] < 0) return this.cut();
    }
  }
}

function ignore(): void {}
