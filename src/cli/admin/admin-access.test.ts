import { describe, expect, it } from "vitest";
import { type AccessOptions, createAccess } from "./admin-access.ts";

const LOCAL = { host: "127.0.0.1", port: 5678 };
const GIVEN: AccessOptions = { auth: "basic", listen: LOCAL, user: "ada", header: "x-token", secret: undefined };
const GENERATED: unknown = expect.stringMatching(/^[\da-f]{48}$/);

/** What a request with these headers comes to: the name and role, or the status. */
async function ask(options: Partial<AccessOptions>, headersOf: (secret: string) => Record<string, string>) {
  const { authorize, generated } = createAccess({ ...GIVEN, ...options });
  const headers = headersOf(options.secret ?? generated ?? "");
  const answer = await authorize(new Request("http://127.0.0.1:5678/", { headers }), { remoteAddress: "127.0.0.1" });
  return answer instanceof Response ? answer.status : { name: answer.name, role: answer.role };
}

const basic = (name: string) => (password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});

describe("who may look and act", () => {
  it("is the user with the generated password, which is told once", async () => {
    const { generated, lines } = createAccess(GIVEN);
    expect(generated).toEqual(GENERATED);
    expect(lines).toEqual([
      ["User", "ada"],
      ["Password", generated],
    ]);
    expect(createAccess(GIVEN).generated).not.toBe(generated);
    expect(await ask({}, basic("ada"))).toEqual({ name: "ada", role: "admin" });
    expect(await ask({}, basic("bob"))).toBe(401);
  });

  it("is the user with the given password, which is not told", async () => {
    const { generated, lines } = createAccess({ ...GIVEN, secret: "hunter22" });
    expect(generated).toBeUndefined();
    expect(JSON.stringify(lines)).not.toContain("hunter22");
    expect(await ask({ secret: "hunter22" }, basic("ada"))).toMatchObject({ role: "admin" });
    expect(await ask({ secret: "hunter22" }, () => basic("ada")("hunter2"))).toBe(401);
  });

  it.each([undefined, "given"])("is the bearer of a token: %s", async (secret) => {
    const { lines } = createAccess({ ...GIVEN, auth: "bearer", secret });
    expect(lines).toEqual([["Header", expect.stringMatching(/^authorization: Bearer /)]]);
    expect(JSON.stringify(lines)).not.toContain("given");
    expect(await ask({ auth: "bearer", secret }, (token) => ({ authorization: `Bearer ${token}` }))).toMatchObject({
      role: "admin",
    });
    expect(await ask({ auth: "bearer", secret }, () => ({}))).toBe(401);
  });

  it.each([undefined, "given"])("is who sends a header with a token: %s", async (secret) => {
    const { lines } = createAccess({ ...GIVEN, auth: "header", secret });
    expect(lines).toEqual([["Header", expect.stringMatching(/^x-token: /)]]);
    expect(await ask({ auth: "header", secret }, (token) => ({ "x-token": token }))).toMatchObject({ role: "admin" });
    expect(await ask({ auth: "header", secret }, () => ({ "x-token": "other" }))).toBe(401);
  });

  it("is everyone on this machine, when it listens on a loopback address", async () => {
    for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) {
      expect(await ask({ auth: "none", listen: { host, port: 1 } }, () => ({}))).toMatchObject({ role: "admin" });
    }
    expect(createAccess({ ...GIVEN, auth: "none" }).lines).toEqual([["Access", "everyone on this machine"]]);
  });

  it.each(["0.0.0.0", "::", "10.0.0.1", "localhost.example"])("is not everyone on %s", (host) => {
    expect(() => createAccess({ ...GIVEN, auth: "none", listen: { host, port: 1 } })).toThrow(/loopback/);
  });

  it.each([
    ["a header that cannot be", { auth: "header", header: "no header" }],
    ["an empty secret", { secret: "" }],
    ["an empty name", { user: "" }],
  ] as const)("is not said by %s", (_what, options) => {
    expect(() => createAccess({ ...GIVEN, ...options })).toThrow(
      expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }),
    );
  });
});
