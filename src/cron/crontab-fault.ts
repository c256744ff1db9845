/** A mistake in a line of a crontab, on its way to where the number of the line is known. Nobody outside sees it. */
export class CrontabFault extends Error {
  /** Where in the line, from 0. */
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}
