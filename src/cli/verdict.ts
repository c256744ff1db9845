/** Ends a command that has printed its result with another exit code than 0: nothing more is printed. */
export class Verdict extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`The command ends with the exit code ${exitCode}.`);
    this.exitCode = exitCode;
  }
}
