import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hostsOf, type NamedHosts } from "./hosts.ts";

describe("hostsOf", () => {
  it.each<[string, string[], NamedHosts["wanted"]]>([
    ["postgres://me:pw@h1:1,h2:2/db", ["postgres://me:pw@h1:1/db", "postgres://me:pw@h2:2/db"], undefined],
    ["postgresql://h1,h2", ["postgresql://h1", "postgresql://h2"], undefined],
    ["postgres://h1,h2/db?port=5", ["postgres://h1:5/db", "postgres://h2:5/db"], undefined],
    ["postgres:///db?host=h1,h2&port=1,2&x=y", ["postgres://h1:1/db?x=y", "postgres://h2:2/db?x=y"], undefined],
    ["postgres://me@/db?host=/run,::1", ["postgres://me@%2Frun/db", "postgres://me@[::1]/db"], undefined],
    ["postgres://[::1]:1,%2Frun:2/db", ["postgres://[::1]:1/db", "postgres://%2Frun:2/db"], undefined],
    ["postgres://p@w:a,b@h1,h2/db", ["postgres://p@w:a,b@h1/db", "postgres://p@w:a,b@h2/db"], undefined],
    [
      "postgres://h1,h2/db?target_session_attrs=standby&sslmode=require",
      ["postgres://h1/db?sslmode=require", "postgres://h2/db?sslmode=require"],
      "standby",
    ],
    ["postgres://h1/db?target_session_attrs=primary", ["postgres://h1/db?target_session_attrs=primary"], "primary"],
    // `pg` takes the last one, and so does libpq.
    ["postgres:///db?host=h1&host=h2", ["postgres:///db?host=h1&host=h2"], undefined],
    ["/run/postgresql db", ["/run/postgresql db"], undefined],
  ])("%s", (text, texts, wanted) => {
    const found = hostsOf(text) as NamedHosts;
    expect({ texts: found.texts, wanted: found.wanted }).toEqual({ texts, wanted });
  });

  it.each<[string, NamedHosts["pairs"], string]>([
    ["postgres://me:pw@[::1]:5/db?a=b", [{ host: "::1", port: "5" }], "postgres://me:pw@localhost/db?a=b"],
    ["postgres://me@%2Frun/db", [{ host: "/run", port: "" }], "postgres://me@localhost/db"],
    [
      "postgres://me@/db?host=/run,h2&port=1,2&target_session_attrs=any",
      [
        { host: "/run", port: "1" },
        { host: "h2", port: "2" },
      ],
      "postgres://me@localhost/db",
    ],
    ["postgres:///db", [{ host: "", port: "" }], "postgres://localhost/db"],
    ["/run/postgresql db", [], "/run/postgresql db"],
  ])("takes the hosts out of %s", (text, pairs, bare) => {
    expect(hostsOf(text)).toMatchObject({ pairs, bare });
  });

  it("finds each host with its port, whatever the user and the password are", () => {
    const host = fc.constantFrom("one", "two.example.com", "10.0.0.1", "[::1]", "%2Frun");
    const pair = fc.tuple(host, fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }));
    const word = fc.string({ unit: "grapheme" }).map(encodeURIComponent);
    fc.assert(
      fc.property(fc.array(pair, { minLength: 2, maxLength: 4 }), word, word, (pairs, user, password) => {
        const hosts = pairs.map(([name, port]) => (port === undefined ? name : `${name}:${port}`));
        const found = hostsOf(`postgresql://${user}:${password}@${hosts.join(",")}/db`);
        expect(found).toMatchObject({ texts: hosts.map((one) => `postgresql://${user}:${password}@${one}/db`) });
      }),
    );
  });
});
