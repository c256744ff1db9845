/** A length of time: milliseconds as a number, or a number with a unit such as `"250ms"`, `"5s"`, `"1.5h"`, `"2d"`. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d" | "w"}`;
