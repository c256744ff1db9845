import { JOBS_CHANNEL, readNotification, type Notification } from "../job/claim/notification.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import type { Executor, Listening } from "../postgres/driver.ts";
import { CONTROL_CHANNEL } from "../postgres/queries/control.ts";
import { SCHEDULES_CHANNEL } from "../postgres/queries/schedules.ts";
import { startLoop, type Loop } from "../runtime/loop.ts";

/**
 * Listens for notifications, as soon as that is possible and until it is
 * stopped. Without it jobs are found by polling.
 */
export class Listener {
  readonly #context: ListenerContext;
  readonly #watcher: ListenerWatcher;
  #loop: Loop | undefined;
  #listening: Listening | undefined;
  #isStopping = false;

  constructor(context: ListenerContext, watcher: ListenerWatcher) {
    this.#context = context;
    this.#watcher = watcher;
  }

  start(): void {
    // The driver reconnects, but the first connection is up to the listener.
    this.#loop = startLoop({
      name: "listen",
      clock: this.#context.clock,
      round: () => this.#listen(),
      onError: (error, { failures }) => {
        if (failures === 1) this.#watcher.down(error);
      },
    });
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#loop?.stop();
    await this.#listening?.close();
  }

  /** Nothing is sent on the session from now on but what others send, or no longer so. */
  quiet(isQuiet: boolean): void {
    this.#listening?.quiet?.(isQuiet);
  }

  async #listen(): Promise<number> {
    this.#listening ??= await this.#context.driver.listen(CHANNELS, {
      notified: (channel, payload) => this.#notified(channel, payload),
      // A session that is ready after the listener was stopped is closed with it.
      up: (session) => void (this.#isStopping || this.#watcher.up(session)),
      down: (error) => this.#watcher.down(error),
    });
    return Number.POSITIVE_INFINITY;
  }

  #notified(channel: string, payload: string): void {
    const { schema } = this.#context;
    switch (channel) {
      case JOBS_CHANNEL: {
        const notification = readNotification(payload, schema.name);
        if (notification) this.#watcher.announced(notification);
        return;
      }
      case SCHEDULES_CHANNEL:
        if (payload === schema.name) this.#watcher.schedulesChanged();
        return;
      case CONTROL_CHANNEL:
        return this.#watcher.controlled(payload);
      default:
        return this.#watcher.heard(channel);
    }
  }
}

type ListenerContext = Pick<WorkerContext, "clock" | "driver" | "schema">;

/** Receives what a listener hears. */
export interface ListenerWatcher {
  /** Jobs of this schema were announced. */
  announced(notification: Notification): void;
  /** Stored schedules of this schema were changed. */
  schedulesChanged(): void;
  /** Something was cancelled, paused or resumed, perhaps in another schema. */
  controlled(payload: string): void;
  /** Something arrived on a channel that a part of the worker has made this session listen to. */
  heard(channel: string): void;
  /** It listens, or listens again, on this session: what was announced before may have been missed. */
  up(session: Executor): void;
  /** The session was lost, or could not be opened at first. */
  down(error: unknown): void;
}

const CHANNELS = [JOBS_CHANNEL, SCHEDULES_CHANNEL, CONTROL_CHANNEL];
