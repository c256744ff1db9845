/**
 * A mistake in a line of a crontab. It is caught where the number of the line
 * is known and does not leave this folder.
 */
export class CrontabFault extends Error {
  /** Where in the line, from 0. */
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}
