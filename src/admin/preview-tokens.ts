import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { BoundOrder } from "../client/operator-access.ts";
import type { ActionRequest } from "./contract/bulk-views.ts";
import { HowdahError } from "../errors.ts";
import type { Clock } from "../runtime/clock.ts";

/**
 * Makes tokens of what was previewed and reads them back. A token holds all of
 * it, signed, so that what is done is what was looked at; it is valid for ten
 * minutes, for one person. That it begins one thing only is up to the record,
 * which all processes share.
 */
export class PreviewTokens {
  readonly #secret: string;
  readonly #clock: Pick<Clock, "now">;

  constructor(secret: string, clock: Pick<Clock, "now">) {
    this.#secret = secret;
    this.#clock = clock;
  }

  /** Signs what was previewed. */
  issue(claims: PreviewClaims): { readonly token: string; readonly expiresAt: Date } {
    const expiresMs = this.#clock.now() + VALID_MS;
    const body = Buffer.from(JSON.stringify({ ...claims, expiresMs })).toString("base64url");
    return { token: `${body}.${this.#sign(body)}`, expiresAt: new Date(expiresMs) };
  }

  /** Reads a token of this person. Throws `HOWDAH_ADMIN_PREVIEW_EXPIRED`. */
  read(token: string, { who, scope }: Pick<PreviewClaims, "who" | "scope">): PreviewClaims {
    const [body = "", signature = ""] = token.split(".");
    const expected = Buffer.from(this.#sign(body));
    const given = Buffer.from(signature);
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      throw expired("This preview is not one of this server, which was restarted perhaps.");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as PreviewClaims & { expiresMs: number };
    if (claims.who !== who || claims.scope !== scope) throw expired("This preview was made for someone else.");
    if (claims.expiresMs <= this.#clock.now()) throw expired("This preview is older than ten minutes.");
    return claims;
  }

  #sign(body: string): string {
    return createHmac("sha256", this.#secret).update(`howdah preview ${body}`).digest("base64url");
  }
}

/** What was looked at: a filter with what is to be done, or the ids of jobs. */
export interface PreviewClaims {
  /** Whose preview it was. */
  readonly who: string;
  /** What they could see then. */
  readonly scope: string;
  readonly order: BoundOrder;
  /** What is done to jobs that were named one by one. */
  readonly byId?: ActionRequest | undefined;
  /** How many jobs were found; null when there are more than a preview counts. */
  readonly expected: number | null;
  /** What has to be given to begin. */
  readonly confirm: string | null;
}

/** Names what a token that was read stands for, without what it allows. */
export function nameOfPreview(token: string): string {
  // By its signature: what may stand behind that is not read.
  const [, signature = ""] = token.split(".");
  return createHash("sha256").update(signature).digest("base64url").slice(0, 22);
}

/** The error for a preview that nothing can be begun with. */
export function expired(why: string): HowdahError {
  return new HowdahError("HOWDAH_ADMIN_PREVIEW_EXPIRED", `${why} Ask for the preview again.`);
}

const VALID_MS = 600_000;
