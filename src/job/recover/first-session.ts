/**
 * Whether the process has ever lost a session that it listened on. One that has
 * may have been cut off together with others, and come back before them. A
 * process has one of these for all of its workers.
 */
export class SessionHistory {
  #hasLost = false;

  /** No session was lost so far. */
  get isUnbroken(): boolean {
    return !this.#hasLost;
  }

  /** A session was lost, or could not be opened. */
  lost(): void {
    this.#hasLost = true;
  }
}

/** That of this process. */
export const processSessions = new SessionHistory();
