import { randomBytes } from "node:crypto";

/**
 * A new id to lock jobs under, unique everywhere. Its 25 characters are what
 * the free space of a page is reckoned with: a longer id would make claims
 * slower.
 */
export function createWorkerId(): string {
  return `howdah_${randomBytes(9).toString("hex")}`;
}
