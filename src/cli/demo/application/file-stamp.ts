import type { BigIntStats } from "node:fs";

/** Changes whenever the content of a file may have changed: the same stamp before and after means the same content. */
export function fileStamp({ size, mtimeNs, ctimeNs, ino }: BigIntStats): string {
  return `${size}-${mtimeNs}-${ctimeNs}-${ino}`;
}
