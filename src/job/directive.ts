import type { Duration } from "../runtime/duration.ts";

/** What a handler returns when the job is neither done nor failed. Made by {@link snooze} and {@link cancel}. */
export type Directive =
  | { readonly kind: "snooze"; readonly delay: Duration }
  | { readonly kind: "cancel"; readonly reason: string };
