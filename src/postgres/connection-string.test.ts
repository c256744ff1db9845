import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { createClient } from "../client/create-client.ts";
import { describeFailure } from "../cli/failure.ts";
import { readOptions } from "../runtime/options.ts";
import type { LogFields } from "../runtime/logger.ts";
import { CONNECTION_STRING, describeTarget, readConnectionString } from "./connection-string.ts";
import { pgDriver } from "./drivers/pg.ts";

/** What is looked for in everything that is said. */
const WORDS = ["hunter2", "S3cret"];

/** A password of two words with what can go wrong around them. */
const secret = fc
  .tuple(
    fc.constantFrom(
      "",
      "/",
      "12/",
      "12?",
      "12#",
      "#",
      "?",
      "@",
      ":",
      "x@h/",
      "x@h?a=",
      "x@h/d?user=",
      "%",
      "12%2F",
      " ",
    ),
    fc.constantFrom("", "/", "@", ":", "#", "?", "%", "%40", "&", "=", ",", " ", "\\", "ü"),
    fc.constantFrom("", "/", "@", ":", "#", "?", "%zz", "="),
  )
  .map(([before, between, after]) => `${before}${WORDS[0]}${between}${WORDS[1]}${after}`);

/** A port that nothing listens on, so that what is not refused fails at once. */
const HOST = "127.0.0.1:1";

/** A URL, or what was taken for one, with the password at one of the places where it may be. */
const url = fc
  .tuple(secret, fc.constantFrom("postgres", "postgresql", "mysql", "jdbc:postgresql", "http"), fc.boolean())
  .chain(([raw, scheme, encoded]) => {
    const text = encoded ? encodeURIComponent(raw) : raw;
    return fc.constantFrom(
      `${scheme}://me:${text}@${HOST}/db`,
      `${scheme}://:${text}@${HOST}/db`,
      `${scheme}://${text}:pw@${HOST}/db`,
      `${scheme}://${text}@${HOST}/db`,
      `${scheme}://me:${text}@/db?host=127.0.0.1&port=1`,
      `${scheme}://me:pw@${HOST}/db?password=${text}`,
      `${scheme}://me:pw@${HOST}/db?sslpassword=${text}&x=1`,
      `${scheme}://me:pw@${HOST}/db#${text}`,
      `${scheme}://me:pw@${HOST}/@${text}`,
      `${scheme}:me:${text}@${HOST}/db`,
      `me:${text}@${HOST}/db`,
      `//me:${text}@${HOST}/db`,
      `host=127.0.0.1 port=1 password=${text}`,
      `"${scheme}://me:${text}@${HOST}/db"`,
      `  ${scheme}://me:${text}@${HOST}/db\n`,
      `${scheme}://me:${text}@${HOST},h2:2/db`,
    );
  });

/** Everything that an error says, its causes and the properties of both. */
function everythingOf(error: unknown): string {
  return inspect(error, { depth: 10, showHidden: true });
}

async function failureOf(options: Parameters<typeof createClient>[0], said: unknown[]): Promise<unknown> {
  const log = (message: string, fields?: LogFields) => void said.push(message, fields);
  const logger = { error: log, warn: log, info: log, debug: log };
  return createClient({ connectTimeout: 1, logger, ...options }).then(
    () => expect.unreachable("nothing listens there"),
    (error: unknown) => error,
  );
}

describe("a password", () => {
  it("is in no error, no line of the log and no output, wherever it stands in whatever was given as a URL", async () => {
    await fc.assert(
      fc.asyncProperty(url, fc.constantFrom("option", "environment"), async (text, way) => {
        const said: unknown[] = [];
        vi.stubEnv("DATABASE_URL", way === "environment" ? text : "");
        const error = await failureOf(way === "option" ? { connectionString: text } : {}, said);
        vi.unstubAllEnvs();
        const everything = [
          everythingOf(error),
          inspect(said, { depth: 10 }),
          describeFailure(error, { HOWDAH_LOG: "debug" }).text,
          describeTarget(text),
        ].join("\n");
        for (const word of WORDS) expect(everything).not.toContain(word);
        expect(error).toMatchObject({ name: "HowdahError", code: /^HOWDAH_(OPTION_INVALID|DATABASE_UNREACHABLE)$/ });
      }),
      { numRuns: 500 },
    );
  });
});

describe("a connection string", () => {
  it.each([
    ["postgres:/secret@host/db", "is not a URL like"],
    [
      "postgres://me:/secret@127.0.0.1:1/postgres",
      "is not a URL like postgresql://user:password@host:5432/database; in the user, the password",
    ],
    [
      "postgres://me:12/34secret@host/db",
      "is not a URL like postgresql://user:password@host:5432/database; in the user, the password",
    ],
    [
      "postgres://me:secr/et@host/db",
      "is not a URL like postgresql://user:password@host:5432/database; in the user, the password",
    ],
    [
      "postgres://me:secr#et@host/db",
      "is not a URL like postgresql://user:password@host:5432/database; in the user, the password",
    ],
    [
      "postgres://me:secr?et@host/db",
      "is not a URL like postgresql://user:password@host:5432/database; in the user, the password",
    ],
    [
      "postgres://me:secret@host/db#x",
      "is not a URL like postgresql://user:password@host:5432/database; in the user, the password",
    ],
    ["postgres://me:secret@h1:5432,h2:54334/db?port=1,2,3", "names 2 hosts and 3 ports"],
    ["postgres://me:secret@h1,,h2/db", "names several hosts, and one of them is empty"],
    ["postgres://me:secret@h1:1,h2:x/db", "names several hosts, and one of them has a port that is no number"],
    ["postgres://me:secret@h1:1,h2:99999/db", "names several hosts, and one of them has a port that is no number"],
    ["postgres://me:sec/ret@h1,h2/db", "is not a URL like"],
    [
      "postgres://me:secret@h1/db?target_session_attrs=primry",
      "has a target_session_attrs that is not known; it may be any",
    ],
    ["jdbc:postgresql://host/db?user=me&password=secret", "is a URL of JDBC; write postgresql://"],
    ["mysql://me:secret@host/db", "begins with `mysql:`, which does not lead to PostgreSQL"],
    ["http://me:secret@host/db", "begins with `http:`, which does not lead to PostgreSQL"],
    ["postgresql+asyncpg://me:secret@host/db", "names a driver behind a +"],
    ["host=localhost dbname=db password=secret", "is in the form `host=... dbname=...`"],
    ['"postgres://me:secret@host/db"', "begins with a quotation mark"],
    ["localhost:5432/db", "is not a URL like"],
    ["secret:word@host/db", "is not a URL like"],
    ["   ", "is not a URL like"],
  ])("%s is refused at once, with what to do and without what it says", (text, message) => {
    const read = () => readOptions("client", { connectionString: text }, { connectionString: CONNECTION_STRING });
    expect(read).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }));
    expect(read).toThrow(`Client option \`connectionString\` ${message}`);
    expect(read).not.toThrow(/secret/);
    expect(() => pgDriver({ config: { connectionString: text } })).toThrow("Driver option `config.connectionString`");
  });

  it.each([
    ["postgres://me:pw@db.example.com:5432/shop", "the database shop at db.example.com:5432"],
    ["  postgresql://me@db.example.com/shop\n", "the database shop at db.example.com"],
    ["postgres://me:p%40w@[::1]:5432/shop-2", "the database shop-2 at [::1]:5432"],
    ["postgres://me:p@w@host/größe", "the database größe at host"],
    ["postgres://me:pw@host", "the database of the user at host"],
    ["postgres://me:pw@/shop?host=/run/postgresql", "the database shop at /run/postgresql"],
    ["postgres:///shop", "the database shop at localhost"],
    ["postgres://%2Frun%2Fpostgresql/shop", "the database shop at /run/postgresql"],
    ["postgres://me@host/a%20b", "the database at host"],
    ["POSTGRES://me@host/shop?sslmode=require", "the database shop at host"],
    ["postgres://me:p@w@h1:5432,[::1]:5433,%2Frun/shop", "the database shop at h1:5432,[::1]:5433,/run"],
    ["postgres://me:p,w@h1/shop?target_session_attrs=primary", "the database shop at h1"],
    ["/run/postgresql shop", "the database"],
    ["socket:/run/postgresql?db=shop", "the database"],
  ])("%j is taken, and leads to %s", (text, target) => {
    expect(describeTarget(readConnectionString(text, "It"))).toBe(target);
  });

  it("of the environment is refused by its name, and is as good as missing when it is blank", async () => {
    vi.stubEnv("DATABASE_URL", "mysql://me:secret@host/db");
    const refused = await failureOf({}, []);
    vi.stubEnv("DATABASE_URL", "  ");
    vi.stubEnv("PGHOST", "127.0.0.1,localhost");
    vi.stubEnv("PGPORT", "1,2,3");
    const ports = await failureOf({}, []);
    vi.stubEnv("PGPORT", "1,2");
    const several = await failureOf({}, []);
    vi.stubEnv("PGTARGETSESSIONATTRS", "primry");
    const target = await failureOf({}, []);
    vi.unstubAllEnvs();
    expect(refused).toMatchObject({ message: /^The environment variable DATABASE_URL begins with `mysql:`/ });
    expect(ports).toMatchObject({ message: /^PGHOST names 2 hosts and 3 ports/, code: "HOWDAH_OPTION_INVALID" });
    expect(several).toMatchObject({ message: /None of the hosts can be used: 127.0.0.1:1: .*; localhost:2: / });
    expect(target).toMatchObject({ message: /^PGTARGETSESSIONATTRS is not known; it may be any, read-write/ });
  });
});
