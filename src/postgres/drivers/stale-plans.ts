import { isStalePlan } from "../sqlstate.ts";
import type { PgSession } from "./pg-session.ts";

/**
 * Lets the session plan everything anew when `error` may be that of a stale plan.
 * Resolves to true when it will: what was refused has changed nothing, and can be
 * sent again; refused with fresh plans, it is refused for good. Never rejects.
 *
 * Every session keeps plans, of prepared statements and inside of functions.
 * After a column was added or a function replaced, some of them may fail until
 * the session ends or is told to forget them.
 */
export async function forgetPlans(session: PgSession, error: unknown): Promise<boolean> {
  if (!isStalePlan(error) || session.brokenBy !== undefined) return false;
  return session.query({ text: "discard plans" }).then(
    () => true,
    () => false,
  );
}
