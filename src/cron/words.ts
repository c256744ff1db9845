/** A word of a line and where it begins. */
export interface Word {
  readonly text: string;
  /** From 0. */
  readonly offset: number;
}

/** Splits a line into its words, at any white space. */
export function splitWords(line: string): Word[] {
  return Array.from(line.matchAll(/\S+/g), ({ 0: text, index }) => ({ text, offset: index }));
}
