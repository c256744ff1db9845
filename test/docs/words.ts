/**
 * The words that this project does not use, each with what to write instead.
 * A reader has to guess who "nobody" is; the field has names for that: a
 * worker, a job, a transaction, a caller, an operator.
 */
export const WORDS: readonly Word[] = [
  { word: "nobody", instead: "who does not: no worker, no other transaction, no caller" },
  { word: "somebody", instead: "who does: another worker, another session, a caller, an operator" },
  { word: "whoever", instead: "who: the worker that, the transaction that, the caller that" },
  { word: "shall", instead: "must, will" },
  { word: "so many", instead: "N, a number of, at most N" },
  { word: "so-manieth", instead: "nth" },
  { word: "to be had", instead: "available" },
  { word: "the worse for it", instead: "what gets worse" },
  { word: "taken for dead", instead: "declared dead" },
  { word: "head scans?", instead: "full scan" },
  { word: "in hand", instead: "locked by another session, held" },
  { word: "in vain", instead: "what happens: it fails, it is rejected, it finds nothing" },
];

export interface Word {
  /** One word or several in a row, as a regular expression; neither capitals nor line ends matter. */
  readonly word: string;
  readonly instead: string;
}

/** Where a word stays, and why. */
export const EXCEPTIONS: readonly Exception[] = [
  { path: "test/docs/words.ts", reason: "is the list" },
  { path: "test/docs/words.test.ts", reason: "tests the test with them" },
  { path: "src/embedded/system-user.ts", reason: "names the unprivileged user of macOS" },
  { path: "src/embedded/system-user.test.ts", reason: "names the unprivileged user of macOS" },
];

export interface Exception {
  readonly path: string;
  readonly reason: string;
}
