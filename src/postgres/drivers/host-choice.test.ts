import { describe, expect, it } from "vitest";
import type { TargetSession } from "../hosts.ts";
import { type Host, HostChoice, unwanted } from "./host-choice.ts";

const hosts = (names: string, wanted: TargetSession = "read-write"): Host[] =>
  Array.from(names, (name) => ({ name, config: { name }, wanted }));

const REFUSED = Object.assign(new Error("refused"), { code: "ECONNREFUSED", errno: -111 });
const WRONG_PASSWORD = Object.assign(new Error("password"), { code: "28P01", severity: "FATAL" });

/** Connects where it can; the hosts that it tried. */
function connect(choice: HostChoice, up: string, fault: unknown = REFUSED) {
  const tried: string[] = [];
  let outcome: unknown;
  choice.connect<string>(
    (callback) => {
      const host = choice.current;
      tried.push(host.name);
      if (up.includes(host.name)) return callback(undefined, host.name);
      choice.failed(host, fault);
      callback(fault, undefined);
    },
    (error, connected) => (outcome = connected ?? error),
  );
  return { tried: tried.join(""), outcome };
}

describe("HostChoice", () => {
  it("takes the first host that can be used, and stays with it until it cannot", () => {
    const choice = new HostChoice(hosts("abc"));
    expect(connect(choice, "bc")).toEqual({ tried: "ab", outcome: "b" });
    expect(connect(choice, "abc")).toEqual({ tried: "b", outcome: "b" });
    expect(connect(choice, "a")).toEqual({ tried: "bca", outcome: "a" });
  });

  it("makes one error of all, and begins anew the next time", () => {
    const choice = new HostChoice(hosts("ab"));
    expect(connect(choice, "")).toEqual({
      tried: "ab",
      outcome: expect.objectContaining({
        code: "HOWDAH_DATABASE_UNREACHABLE",
        message: "None of the hosts can be used: a: refused; b: refused",
      }),
    });
    expect(connect(choice, "a").outcome).toBe("a");
  });

  it("asks no other host when one says what all would say", () => {
    expect(connect(new HostChoice(hosts("ab")), "b", WRONG_PASSWORD)).toEqual({ tried: "a", outcome: WRONG_PASSWORD });
  });

  it("leaves a host once, however many find out that it is gone", () => {
    const choice = new HostChoice(hosts("ab"));
    const { current } = choice;
    choice.failed(current, REFUSED);
    choice.failed(current, REFUSED);
    expect(choice.current.name).toBe("b");
  });

  it("passes the error of a single host on as it is", () => {
    expect(connect(new HostChoice(hosts("a")), "")).toEqual({ tried: "a", outcome: REFUSED });
  });

  it("takes any where a standby is preferred and none is there", () => {
    const choice = new HostChoice(hosts("ab", "prefer-standby"));
    expect(choice.count).toBe(4);
    for (const _host of "ab") choice.failed(choice.current, unwanted(choice.current, ["false", "off"]));
    expect(choice.current).toMatchObject({ name: "a", wanted: "any" });
  });
});

describe("unwanted", () => {
  it.each<[TargetSession, string]>([
    ["any", "primary, read-only primary, standby"],
    ["read-write", "primary"],
    ["read-only", "read-only primary, standby"],
    ["primary", "primary, read-only primary"],
    ["standby", "standby"],
    ["prefer-standby", "standby"],
  ])("%s takes: %s", (wanted, taken) => {
    const servers = { primary: ["false", "off"], "read-only primary": ["false", "on"], standby: ["true", "on"] };
    const host: Host = { name: "a", config: {}, wanted };
    const names = Object.entries(servers).flatMap(([name, said]) => (unwanted(host, said) ? [] : [name]));
    expect(names.join(", ")).toBe(taken);
  });
});
