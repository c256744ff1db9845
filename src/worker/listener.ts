import { JOBS_CHANNEL, readNotification, type Notification } from "../job/claim/notification.ts";
import type { Driver, Listening } from "../postgres/driver.ts";
import { SCHEDULES_CHANNEL } from "../postgres/queries/schedules.ts";
import { startLoop, type Loop } from "../runtime/loop.ts";
import type { Clock } from "../runtime/clock.ts";

/** What a listener needs, and whom it tells. */
export interface ListenerOptions {
  readonly driver: Driver;
  readonly clock: Clock;
  readonly schema: string;
  /** Jobs of this schema were announced. */
  announced(notification: Notification): void;
  /** Stored schedules of this schema were changed. */
  schedulesChanged?(): void;
  /** It listens, or listens again: what was announced before may have been missed. */
  up(): void;
  /** The session was lost, or could not be opened at first. */
  down(error: unknown): void;
}

/** An open ear for new jobs. */
export interface Listener {
  close(): Promise<void>;
}

/**
 * Listens for announced jobs, as soon as that is possible and until it is
 * closed. Without it jobs are found by polling.
 */
export function startListener(options: ListenerOptions): Listener {
  const { driver, clock, schema, announced, schedulesChanged, up, down } = options;
  const channels = schedulesChanged ? [JOBS_CHANNEL, SCHEDULES_CHANNEL] : [JOBS_CHANNEL];
  let listening: Listening | undefined;

  // The driver reconnects by itself, but the first connection is up to us.
  const loop: Loop = startLoop({
    name: "listen",
    clock,
    async round() {
      listening ??= await driver.listen(channels, {
        notified(channel, payload) {
          if (channel === SCHEDULES_CHANNEL) {
            if (payload === schema) schedulesChanged?.();
            return;
          }
          const notification = readNotification(payload, schema);
          if (notification) announced(notification);
        },
        up,
        down,
      });
      return Number.POSITIVE_INFINITY;
    },
    onError(error, { failures }) {
      if (failures === 1) down(error);
    },
  });

  async function close(): Promise<void> {
    await loop.stop();
    await listening?.close();
  }

  return { close };
}
