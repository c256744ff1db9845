/** One line of an error. */
export interface StackLine {
  readonly text: string;
  /** A frame of the application, one of what it uses, or a part of the message. */
  readonly kind: "message" | "own" | "foreign";
}

const FRAME = /^\s+at /;
const FOREIGN = /node_modules|\(?node:|<anonymous>\)?$/;

/** The lines of an error, each with what it is. */
export function stackLines(error: string): readonly StackLine[] {
  return error.split("\n").map((text) => {
    if (!FRAME.test(text)) return { text, kind: "message" };
    return { text, kind: FOREIGN.test(text) ? "foreign" : "own" };
  });
}
