import { object } from "../../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, type Option } from "../../runtime/options.ts";
import type { PgPool } from "./pg-pool.ts";

const ANY = object<PgPool>(["connect"]);

/** The option `pool`: anything that lends clients as a `pg` pool does. A `pg` client has a `connect`, too, and lends nothing. */
export const POOL: Option<PgPool | undefined> = {
  suffix: "",
  read(given, place) {
    if (isClient(given))
      throw invalidOption(place, "must be a `Pool` of `pg`, not a `Client`: `new pg.Pool(...)`", given);
    return ANY.read(given, place);
  },
};

function isClient(given: unknown): boolean {
  return isOptionsObject(given) && ("connectionParameters" in given || "processID" in given);
}
