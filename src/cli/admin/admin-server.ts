import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type FetchHandler, toNodeListener } from "../../admin/to-node-listener.ts";
import { HowdahError } from "../../errors.ts";
import { formatListenAddress, type ListenAddress } from "./listen-address.ts";

/** A server that answers with a page. */
export interface AdminServer extends AsyncDisposable {
  /** Where it listens, without a slash at the end. */
  readonly origin: string;
  /** Answers no more: ends idle connections at once, and all others with it. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Listens. Rejects with `HOWDAH_OPTION_INVALID` when it cannot, such as on a port that is taken. */
export async function startAdminServer(handler: FetchHandler, address: ListenAddress): Promise<AdminServer> {
  const server = createServer(LIMITS, toNodeListener(handler));
  server.listen(address);
  try {
    await once(server, "listening");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === undefined ? "" : ` (${WORDS[code] ?? code})`;
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `Nothing can listen on ${formatListenAddress(address)}${why}: choose another address with --listen.`,
      error,
    );
  }
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://${formatListenAddress({ host: nameOf(address), port })}`,
    [Symbol.asyncDispose]: () => end(server),
  };
}

/** Limits of one request, in milliseconds: those of Node.js are made for slow uploads. */
const LIMITS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 10_000 };

const WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program does",
  EACCES: "ports below 1024 need more rights",
  EADDRNOTAVAIL: "it is no address of this machine",
  ENOTFOUND: "there is no machine of this name",
};

/** What a browser on this machine can be given. */
function nameOf({ host }: ListenAddress): string {
  return host === "0.0.0.0" || host === "::" ? "localhost" : host;
}

function end(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
