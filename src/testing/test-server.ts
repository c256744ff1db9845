import type { StartPostgresOptions } from "../embedded/options.ts";
import type { EmbeddedPostgres } from "../embedded/start-postgres.ts";

/**
 * Starts one server for a whole run, to be called where a test runner sets
 * everything up: `createTestDatabase` finds it from then on, also in the
 * processes that the runner starts. With `DATABASE_URL` it is that server.
 * Nothing on it survives a crash of the machine, which makes it fast. It ends
 * with this process, or by `stop`. Rejects as `startPostgres` does.
 */
export async function startTestServer(options: StartPostgresOptions = {}): Promise<EmbeddedPostgres> {
  const { connectionString, stop } = await startFast(options);
  process.env[VARIABLE] = connectionString;
  const stopAndForget: EmbeddedPostgres["stop"] = async (mode = "immediate") => {
    delete process.env[VARIABLE];
    await stop(mode);
  };
  return { connectionString, stop: stopAndForget, [Symbol.asyncDispose]: () => stopAndForget() };
}

/** A server that a test database is on. */
export interface BorrowedServer {
  readonly connectionString: string;
  /** Ends it, if it was started for this and others do not use it any more. */
  giveBack(): Promise<void>;
}

/** A server for a test database: the one that is given, that of this run, or one of this process. */
export async function borrowTestServer(given?: string): Promise<BorrowedServer> {
  const connectionString = given ?? process.env[VARIABLE] ?? (process.env["DATABASE_URL"]?.trim() || undefined);
  if (connectionString !== undefined) return { connectionString, giveBack: () => Promise.resolve() };
  shared ??= startFast({});
  users += 1;
  try {
    return { connectionString: (await shared).connectionString, giveBack };
  } catch (error) {
    await giveBack();
    throw error;
  }
}

/** Says where the server of this run is, also to the processes of a test runner. */
const VARIABLE = "HOWDAH_TEST_SERVER";

const FAST = { fsync: false, full_page_writes: false, synchronous_commit: false, max_connections: 200 };

/** The server of this process, while there are users of it. */
let shared: Promise<EmbeddedPostgres> | undefined;
let users = 0;

async function giveBack(): Promise<void> {
  users -= 1;
  if (users > 0) return;
  const ending = shared;
  shared = undefined;
  await ending?.then(
    (server) => server.stop("immediate"),
    () => undefined,
  );
}

async function startFast(options: StartPostgresOptions): Promise<EmbeddedPostgres> {
  // Only where a server is started: jest cannot load it where it makes CommonJS of everything, and a given server needs it not.
  const { startPostgresUnlessGiven } = await import("../embedded/start-postgres.ts");
  return startPostgresUnlessGiven({ ...options, settings: { ...FAST, ...options.settings } });
}
