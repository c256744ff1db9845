import { HowdahError } from "../errors.ts";
import { toHowdahError } from "../postgres/database-error.ts";
import type { Schema } from "../postgres/schema.ts";

type Method = (...given: unknown[]) => Promise<unknown>;

/**
 * Whether a client still answers, and which of its calls are under way. Shared by
 * everything that came from it. Whatever a call throws gets a code of ours here.
 */
export class OpenCalls {
  readonly #schema: Schema;
  #closed = false;
  readonly #running = new Set<Promise<unknown>>();

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  /** Throws `HOWDAH_CLIENT_CLOSED` after `close`. */
  check(): void {
    if (this.#closed) throw new HowdahError("HOWDAH_CLIENT_CLOSED", "The client was closed; create another one.");
  }

  /** The same methods, which reject with `HOWDAH_CLIENT_CLOSED` after `close`, whatever they are given. */
  checked<Methods extends object>(methods: Methods): Methods {
    return wrapped(methods, (method) => async (...given) => {
      this.check();
      try {
        return await method(...given);
      } catch (error) {
        throw toHowdahError(error, this.#schema);
      }
    });
  }

  /** As {@link checked}; besides, `close` waits for calls that have begun. */
  awaited<Methods extends object>(methods: Methods): Methods {
    return wrapped(methods, (method) => async (...given) => {
      this.check();
      const call = method(...given);
      this.#running.add(call);
      try {
        return await call;
      } catch (error) {
        throw toHowdahError(error, this.#schema);
      } finally {
        this.#running.delete(call);
      }
    });
  }

  /** Lets no further call begin, and waits for those that have. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
  }
}

function wrapped<Methods extends object>(methods: Methods, wrap: (method: Method) => Method): Methods {
  const entries = Object.entries(methods as Record<string, Method>);
  return Object.fromEntries(entries.map(([name, method]) => [name, wrap(method)])) as Methods;
}
