import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { compress, encodingFor, isCompressible } from "./encodings.ts";

it.each([
  [null, undefined],
  ["", undefined],
  ["identity", undefined],
  ["gzip, deflate, br, zstd", "br"],
  ["GZIP;q=1.0, deflate", "gzip"],
  ["br;q=0, gzip;q=0.5", "gzip"],
  ["br;q=0.000, gzip;q=0", undefined],
  ["*", "br"],
  ["*;q=0", undefined],
  ["br;q=0, *", "gzip"],
])("takes of %j the encoding %s", (accept, encoding) => {
  expect(encodingFor(accept)).toBe(encoding);
});

it("compresses texts, and leaves alone what is compressed", async () => {
  const text = Buffer.from("howdah ".repeat(500));
  const [br, gzip] = await Promise.all([compress(text, "br"), compress(text, "gzip")]);
  expect([brotliDecompressSync(br), gunzipSync(gzip)]).toEqual([text, text]);
  expect(Math.max(br.length, gzip.length)).toBeLessThan(100);
  expect(["text/css; charset=utf-8", "image/svg+xml", "image/png", "font/woff2"].map(isCompressible)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
