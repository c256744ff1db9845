import { isUtf8 } from "node:buffer";
import { HowdahError } from "../errors.ts";
import { RequestError } from "./problem.ts";
import type { Clock } from "../runtime/clock.ts";

/** The headers of every answer: nothing is loaded from elsewhere, framed, guessed or kept. */
export function securityHeaders(frameAncestors: readonly string[]): Readonly<Record<string, string>> {
  const ancestors = frameAncestors.length === 0 ? "'none'" : frameAncestors.join(" ");
  return {
    "content-security-policy": `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors ${ancestors}`,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-robots-tag": "noindex, nofollow",
    ...(frameAncestors.length === 0 ? { "x-frame-options": "DENY" } : {}),
  };
}

/**
 * Refuses what a page of another site asks for: browsers say so in
 * `Sec-Fetch-Site`, old ones in `Origin`. Programs send neither.
 */
export function requireSameSite(request: Request, trustProxy: boolean): void {
  const site = request.headers.get("sec-fetch-site");
  if (site === "same-origin" || site === "none") return;
  if (site !== null) throw crossOrigin(`it says that it comes from a page that is ${site}`);
  const origin = request.headers.get("origin");
  if (origin === null || hostOf(origin) === ownHost(request, trustProxy)) return;
  throw crossOrigin("its Origin is not the host that it was sent to");
}

/** Refuses a change without the header that no form and no page of another site can send. */
export function requireChangeHeader(request: Request): void {
  if (request.headers.get(CHANGE_HEADER) === "1") return;
  throw crossOrigin(`a change needs the header ${CHANGE_HEADER}: 1`);
}

/** Reads a body, at most `maxBytes` of it and for 30 seconds. Throws `HOWDAH_ADMIN_TOO_LARGE`. */
export async function readBody(request: Request, maxBytes: number, clock: Pick<Clock, "setTimer">): Promise<string> {
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  const reader = request.body?.getReader();
  if (!reader) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let isLate = false;
  const timer = clock.setTimer(BODY_MS, () => {
    isLate = true;
    void reader.cancel().catch(() => undefined);
  });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (isLate) throw new HowdahError("HOWDAH_ADMIN_TOO_LARGE", "The body did not arrive within 30 seconds.");
      if (done) return decoded(Buffer.concat(chunks));
      bytes += value.byteLength;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      chunks.push(value);
    }
  } finally {
    timer.cancel();
    void reader.cancel().catch(() => undefined);
  }
}

function decoded(bytes: Buffer): string {
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes);
  throw new RequestError("The body is not in UTF-8.");
}

const CHANGE_HEADER = "x-howdah-request";

const BODY_MS = 30_000;

function ownHost(request: Request, trustProxy: boolean): string {
  const forwarded = trustProxy ? request.headers.get("x-forwarded-host")?.split(",")[0]?.trim() : undefined;
  return (forwarded ?? request.headers.get("host") ?? new URL(request.url).host).toLowerCase();
}

/** An opaque origin is "null", which is no host. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function crossOrigin(why: string): HowdahError {
  return new HowdahError("HOWDAH_ADMIN_CROSS_ORIGIN", `The request is refused: ${why}.`);
}

function tooLarge(maxBytes: number): HowdahError {
  return new HowdahError("HOWDAH_ADMIN_TOO_LARGE", `The body is larger than ${maxBytes} bytes.`);
}
