/** How a worker is doing at this moment. */
export interface WorkerMetrics {
  /** How many jobs it can run at once; 0 while it does not run. */
  readonly slots: number;
  /** Slots at work. */
  readonly running: number;
  /** Jobs that it has claimed and that wait in memory for a slot: in a local queue, or read ahead. */
  readonly cached: number;
  /** Handlers that go on although they were told to stop and their slots were given to others. */
  readonly leftBehind: number;
  /** Attempts that have ended and are not written to the database yet. */
  readonly unwritten: number;
  /** How many of these cannot be written although others can: something in the database keeps their rows. */
  readonly stuck: number;
  /** Jobs of dead workers that it cannot return although others can be: something in the database keeps their rows. */
  readonly unrecovered: number;
  /**
   * How long ago the worker last looked at jobs from the very first one. A job
   * that is due and was added without a notification waits no longer than this grows:
   * `pollInterval`, or twenty times what such a look takes. `null` while it
   * does not run.
   */
  readonly headScanAgeMs: number | null;
  /** It has adaptive polling and has gone idle: it is off the register, and sends nothing until it is notified. */
  readonly idle: boolean;
  /**
   * How long ago the last heartbeat was sent that the database has answered.
   * `null` while it does not run or is idle, and without `recovery`.
   */
  readonly heartbeatAgeMs: number | null;
  /**
   * Whether it has a session on which it hears of new jobs; without, it polls.
   * `null` while it does not run, and where it is not to listen.
   */
  readonly isListening: boolean | null;
}
