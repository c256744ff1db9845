import { createHash, randomBytes } from "node:crypto";
import { HowdahError } from "../../errors.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Caller } from "../ground.ts";
import { isLimited, type Principal } from "../principal.ts";
import { RequestError } from "../problem.ts";
import { LiveStream, type StreamHost } from "./live-stream.ts";
import { Numbers, Topic, type TopicSource } from "./topic.ts";

/**
 * All live streams of this process, and the topics that they share: of people
 * who may see the same, however many follow a topic, it is read once.
 */
export class LiveHub implements StreamHost {
  readonly #source: TopicSource;
  readonly #clock: Clock;
  readonly #maxStreams: number;
  readonly #numbers = new Numbers();
  readonly #topics = new Map<string, Topic>();
  readonly #streams = new Map<
    LiveStream,
    { readonly guard: LiveGuard; readonly seen: string; readonly name: string }
  >();
  /** Ids of another process, or of one that was restarted, say nothing here. */
  readonly #epoch = randomBytes(6).toString("hex");
  #isClosed = false;

  constructor(source: TopicSource, clock: Clock, maxStreams: number) {
    this.#source = source;
    this.#clock = clock;
    this.#maxStreams = maxStreams;
  }

  /** Opens a stream. Throws `HOWDAH_ADMIN_BUSY` and `HOWDAH_ADMIN_REQUEST_INVALID`. */
  open({ topics, caller, guard, lastEventId }: LiveOrder): ReadableStream<Uint8Array> {
    if (this.#isClosed) throw new HowdahError("HOWDAH_CLIENT_CLOSED", "The admin API was closed.");
    const names = checkTopics(topics);
    if (this.#streams.size >= this.#maxStreams) throw busy(`${this.#maxStreams} live streams are open`);
    const { name } = caller.principal;
    // One person cannot take those of all others.
    const most = Math.ceil(this.#maxStreams / 2);
    const own = [...this.#streams.values()].filter((stream) => stream.name === name).length;
    if (own >= most) throw busy(`${most} live streams of yours are open`);
    const seen = seenBy(caller.principal);
    const mark = `${this.#epoch}-${digestOf([seen, ...names])}`;
    const [, number] = lastEventId?.startsWith(`${mark}-`) ? (/-(\d{1,15})$/.exec(lastEventId) ?? []) : [];
    const joined = names.map((name) => this.#topic(name, seen, caller));
    const order = { host: this, mark, afterNumber: Number(number ?? 0), greeting: "howdah" };
    const stream = new LiveStream(joined, order, this.#clock);
    this.#streams.set(stream, { guard, seen, name });
    return stream.body;
  }

  /** How many streams are open. */
  get streams(): number {
    return this.#streams.size;
  }

  ended(stream: LiveStream): void {
    this.#streams.delete(stream);
  }

  async mayGoOn(stream: LiveStream): Promise<boolean> {
    const entry = this.#streams.get(stream);
    const principal = await entry?.guard.principal();
    return principal !== undefined && seenBy(principal) === entry?.seen;
  }

  /** Ends all streams, and opens no further one. */
  close(): void {
    this.#isClosed = true;
    for (const stream of this.#streams.keys()) stream.end();
  }

  #topic(name: string, seen: string, caller: Caller): Topic {
    const key = `${seen} ${name}`;
    const known = this.#topics.get(key);
    if (known) return known;
    for (const [old, topic] of this.#topics) if (topic.isForgotten) this.#topics.delete(old);
    if (this.#topics.size >= MOST_TOPICS) throw busy(`${MOST_TOPICS} topics are followed`);
    const topic = new Topic(name, caller, { source: this.#source, clock: this.#clock, numbers: this.#numbers });
    this.#topics.set(key, topic);
    return topic;
  }
}

/** Who asked for a stream, and whether they may still have it. */
export interface LiveGuard {
  /** Asks again who they are; `undefined` when they are refused. Never rejects. */
  principal(): Promise<Principal | undefined>;
}

/** A request for a stream. */
export interface LiveOrder {
  readonly topics: readonly string[];
  readonly caller: Caller;
  readonly guard: LiveGuard;
  /** The id of the last event that the client has, if it had a stream before. */
  readonly lastEventId: string | undefined;
}

const MOST_TOPICS = 1_000;
const MOST_OF_ONE = 8;

function checkTopics(topics: readonly string[]): readonly string[] {
  const names = [...new Set(topics)].filter((name) => name !== "");
  if (names.length === 0 || names.length > MOST_OF_ONE)
    throw new RequestError(`\`topics\` takes 1 to ${MOST_OF_ONE} topics, separated by commas.`);
  const bad = names.find((name) => name.length > 1_000 || /^\/|^(?:live|session|openapi\.json)\b/.test(name));
  if (bad !== undefined) throw new RequestError(`${JSON.stringify(bad.slice(0, 50))} is no topic.`);
  return names;
}

/** The same text for all who may see the same. */
function seenBy(principal: Principal): string {
  const { name, tasks, queues } = principal;
  return JSON.stringify([tasks ?? null, queues ?? null, isLimited(principal) ? name : null]);
}

function digestOf(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
}

function busy(what: string): HowdahError {
  return new HowdahError("HOWDAH_ADMIN_BUSY", `${what}, as many as there may be. Close some, or try again later.`);
}
