import type { Admin } from "../../src/admin/index.ts";

/** An event of a live stream. */
export interface ServerEvent {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: Record<string, any>; // oxlint-disable-line typescript/no-explicit-any -- tests look into it
}

/** A live stream that is read by a test. */
export interface TestStream {
  readonly response: Response;
  /** The next event, comments left out; `undefined` when the stream has ended. */
  next(): Promise<ServerEvent | undefined>;
  /** The next block as it came: an event, or a comment. */
  block(): Promise<string | undefined>;
  close(): Promise<void>;
}

/** Opens one. */
export async function openStream(
  admin: Pick<Admin, "fetch">,
  topics: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Promise<TestStream> {
  const query = topics.map(encodeURIComponent).join(",");
  const response = await admin.fetch(new Request(`http://howdah.test/api/v1/live?topics=${query}`, { headers }));
  const reader = response.body?.getReader();
  let text = "";
  const block = async (): Promise<string | undefined> => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end >= 0) {
        const found = text.slice(0, end);
        text = text.slice(end + 2);
        return found;
      }
      const read = await reader?.read();
      if (!read || read.done) return undefined;
      text += Buffer.from(read.value).toString();
    }
  };
  return {
    response,
    block,
    async next() {
      for (;;) {
        const found = await block();
        if (found === undefined) return undefined;
        const field = (name: string) =>
          found
            .split("\n")
            .find((line) => line.startsWith(`${name}: `))
            ?.slice(name.length + 2);
        const data = field("data");
        if (data !== undefined) return { id: field("id"), event: field("event"), data: JSON.parse(data) };
      }
    },
    close: async () => {
      await reader?.cancel();
    },
  };
}

/** Reads the first events of a stream, and closes it. */
export async function readEvents(
  admin: Pick<Admin, "fetch">,
  topics: readonly string[],
  count: number,
): Promise<ServerEvent[]> {
  const stream = await openStream(admin, topics);
  const events: ServerEvent[] = [];
  while (events.length < count) {
    const event = await stream.next();
    if (!event) break;
    events.push(event);
  }
  await stream.close();
  return events;
}
