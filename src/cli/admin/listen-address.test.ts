import { describe, expect, it } from "vitest";
import { formatListenAddress, parseListenAddress } from "./listen-address.ts";

describe("an address to listen on", () => {
  it.each([
    ["127.0.0.1:5678", { host: "127.0.0.1", port: 5678 }],
    ["5678", { host: "127.0.0.1", port: 5678 }],
    ["[::1]:0", { host: "::1", port: 0 }],
    ["admin.internal:80", { host: "admin.internal", port: 80 }],
  ])("is read from %s", (text, address) => {
    expect(parseListenAddress(text)).toEqual(address);
  });

  it.each(["", "127.0.0.1", "127.0.0.1:", ":80", "::1:80", "http://127.0.0.1:80", "localhost:65536", "local host:1"])(
    "is not %j",
    (text) => {
      expect(() => parseListenAddress(text)).toThrow(/127\.0\.0\.1:5678/);
    },
  );

  it("is written as in a URL", () => {
    expect(
      [
        { host: "::1", port: 1 },
        { host: "localhost", port: 2 },
      ].map(formatListenAddress),
    ).toEqual(["[::1]:1", "localhost:2"]);
  });
});
