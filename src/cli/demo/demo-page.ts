import { noAuth } from "../../admin/auth/built-in.ts";
import { createAdmin } from "../../admin/create-admin.ts";
import { createClient } from "../../client/create-client.ts";
import { silentLogger } from "../../runtime/logger.ts";
import { startAdminServer } from "../admin/admin-server.ts";
import type { Screen } from "../screen.ts";
import { printStep } from "./report.ts";

/** The page for operators, while a demo runs. */
export class DemoPage implements AsyncDisposable {
  readonly #options: DemoPageOptions;
  readonly #visitor = new AbortController();
  /** The last one first. */
  #opened: AsyncDisposable[] = [];

  constructor(options: DemoPageOptions) {
    this.#options = options;
  }

  /**
   * Serves it and says where. In a terminal it resolves when a person has opened it, because a demo may be over in
   * seconds, elsewhere at once.
   */
  async open(): Promise<void> {
    const { connectionString, schema, screen, quiet, signal } = this.#options;
    const logger = silentLogger;
    const client = await createClient({ connectionString, schema, migrate: false, maxConnections: 4, logger });
    this.#opened.unshift(client);
    const admin = createAdmin({ client, authorize: noAuth(), environment: { name: "demo" }, logger });
    this.#opened.unshift(admin);
    const server = await startAdminServer(
      {
        fetch: (request, info) => {
          this.#visitor.abort();
          return admin.fetch(request, info);
        },
      },
      { host: "127.0.0.1", port: 0 },
    );
    this.#opened.unshift(server);
    if (quiet) return;
    const waits = screen.width !== undefined;
    printStep(screen, "Page", `${server.origin}/${waits ? " Open it, and the jobs begin." : ""}`);
    if (waits) await aborted(AbortSignal.any([this.#visitor.signal, signal]));
  }

  /** Resolves at Ctrl-C, at once when no page is open. */
  async visited(): Promise<void> {
    const { screen, quiet, signal } = this.#options;
    if (this.#opened.length === 0 || signal.aborted) return;
    if (!quiet) screen.note("The page stays until Ctrl-C.");
    await aborted(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#opened) await part[Symbol.asyncDispose]();
    this.#opened = [];
  }
}

/** The queue of a demo, and who watches it. */
export interface DemoPageOptions {
  readonly connectionString: string;
  readonly schema: string;
  readonly screen: Screen;
  /** Prints nothing. */
  readonly quiet: boolean;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
