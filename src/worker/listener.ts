import { JOBS_CHANNEL, readNotification, type Notification } from "../job/claim/notification.ts";
import type { Driver, Executor, Listening } from "../postgres/driver.ts";
import { CONTROL_CHANNEL } from "../postgres/queries/control.ts";
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
  /** Something was cancelled, paused or resumed, perhaps in another schema. */
  controlled?(payload: string): void;
  /** Something arrived on a channel that this session has begun to listen to by itself. */
  heard?(channel: string): void;
  /** It listens, or listens again, on this session: what was announced before may have been missed. */
  up(session: Executor): void;
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
  const { driver, clock, schema, announced, schedulesChanged, controlled, heard, up, down } = options;
  const channels = [JOBS_CHANNEL];
  if (schedulesChanged) channels.push(SCHEDULES_CHANNEL);
  if (controlled) channels.push(CONTROL_CHANNEL);
  let listening: Listening | undefined;
  let isClosing = false;

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
          if (channel === CONTROL_CHANNEL) return controlled?.(payload);
          if (channel !== JOBS_CHANNEL) return heard?.(channel);
          const notification = readNotification(payload, schema);
          if (notification) announced(notification);
        },
        // A session that comes about while it is closed already is of no use to anybody.
        up: (session) => void (isClosing || up(session)),
        down,
      });
      return Number.POSITIVE_INFINITY;
    },
    onError(error, { failures }) {
      if (failures === 1) down(error);
    },
  });

  async function close(): Promise<void> {
    isClosing = true;
    await loop.stop();
    await listening?.close();
  }

  return { close };
}
