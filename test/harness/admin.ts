import { createAdmin, type Admin, type AdminOptions } from "../../src/admin/index.ts";
import type { Client } from "../../src/client/client.ts";
import { clientOver } from "../../src/client/create-client.ts";
import type { Logger } from "../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "./database.ts";

/** An admin API over a database of its own. */
export interface TestAdmin extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly client: Client;
  readonly admin: Admin;
  /** What was logged, as JSON. */
  readonly log: string[];
  /** Asks with the header of changes; `as` is the name of the one who asks. */
  ask(path: string, request?: Asked): Promise<Answer>;
}

/** A request of a test. */
export interface Asked {
  readonly as?: string;
  readonly body?: unknown;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON, as far as it is some. */
  readonly json: Record<string, any>; // oxlint-disable-line typescript/no-explicit-any -- tests look into it
}

/** Makes one. By default who asks is the admin "root"; `people` have other names, roles and limits. */
export async function createTestAdmin(
  options: Partial<AdminOptions> & { readonly people?: Readonly<Record<string, object>> } = {},
): Promise<TestAdmin> {
  const { people = {}, ...rest } = options;
  const database = await createDatabase();
  const log: string[] = [];
  const logger = loggerTo(log);
  const client = clientOver({ ...database, logger });
  const admin = createAdmin({
    client,
    logger,
    authorize: (request) => {
      const name = request.headers.get("x-test-user") ?? "root";
      return { name, role: "admin", ...people[name] };
    },
    ...rest,
  });
  return {
    database,
    client,
    admin,
    log,
    ask: (path, request) => ask(admin, path, request),
    async [Symbol.asyncDispose]() {
      await admin.close();
      await client.close();
      await database.drop();
    },
  };
}

/** Sends one request. */
export async function ask(admin: Pick<Admin, "fetch">, path: string, request: Asked = {}): Promise<Answer> {
  const { as, body, method = body === undefined ? "GET" : "POST", headers = {} } = request;
  const response = await admin.fetch(
    new Request(`http://howdah.test${path}`, {
      method,
      headers: {
        ...(method === "GET" ? {} : { "x-howdah-request": "1", "content-type": "application/json" }),
        ...(as === undefined ? {} : { "x-test-user": as }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    }),
  );
  const text = await response.text();
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : {} };
}

function loggerTo(log: string[]): Logger {
  const at = (level: string) => (message: string, fields?: object) => {
    const plain = (_: string, value: unknown): unknown => (value instanceof Error ? String(value) : value);
    log.push(`${level} ${message} ${JSON.stringify(fields ?? {}, plain)}`);
  };
  return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
}
