import { randomBytes } from "node:crypto";

/**
 * A new id to lock jobs under, unique everywhere. Its 25 characters are what
 * the free space of a page is reckoned with: a longer id would make claims
 * slower. Whoever finds a lock of the first form without a registration knows
 * that its worker is dead, so a worker without recovery has the other form.
 */
export function createWorkerId(isRegistered = true): string {
  return `howdah${isRegistered ? "_" : "-"}${randomBytes(9).toString("hex")}`;
}
