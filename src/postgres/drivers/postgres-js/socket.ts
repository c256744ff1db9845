import { once } from "node:events";
import { connect, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";

/**
 * Connects to a server as postgres.js would with the same options, and makes the
 * connection a secure one if they say so. `opened` is called with each stream,
 * to destroy it with. Rejects when there is no connection, or no secure one.
 */
export async function openSocket(target: SocketTarget, opened: (stream: Duplex) => void): Promise<Duplex> {
  const plain = await connectPlain(target, opened);
  if (!target.ssl) return plain;
  if (target.sslnegotiation !== "direct" && !(await acceptsTls(plain))) {
    if (target.ssl === "prefer") return plain;
    plain.destroy();
    throw new Error("The server does not take secure connections, and `ssl` asks for one.");
  }
  const secure = connectTls({
    socket: plain,
    ...(target.host === undefined || isIP(target.host) !== 0 ? {} : { servername: target.host }),
    ...(target.sslnegotiation === "direct" ? { ALPNProtocols: ["postgresql"] } : {}),
    ...(UNVERIFIED.has(target.ssl) ? { rejectUnauthorized: false } : {}),
    ...(typeof target.ssl === "object" ? target.ssl : {}),
  });
  opened(secure);
  await once(secure, "secureConnect");
  return secure;
}

/** Where a connection leads, in the words of the options of postgres.js. */
export interface SocketTarget {
  /** A name or an address. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** A socket of the file system instead. */
  readonly path?: string | undefined;
  /** Makes the connection itself. */
  readonly socket?: (() => Duplex | Promise<Duplex>) | undefined;
  /** Whether the connection is a secure one, and how that is checked. */
  readonly ssl?: unknown;
  readonly sslnegotiation?: unknown;
}

/** Values of `ssl` with which no certificate is checked. */
const UNVERIFIED: ReadonlySet<unknown> = new Set(["require", "allow", "prefer"]);

async function connectPlain(target: SocketTarget, opened: (stream: Duplex) => void): Promise<Duplex> {
  if (target.socket) {
    const made = await target.socket();
    opened(made);
    return made;
  }
  const socket: Socket = target.path
    ? connect({ path: target.path })
    : connect({ host: target.host ?? "localhost", port: target.port ?? DEFAULT_PORT });
  opened(socket);
  await once(socket, "connect");
  return socket;
}

async function acceptsTls(socket: Duplex): Promise<boolean> {
  socket.write(TLS_REQUEST);
  const closed = new AbortController();
  const close = (): void => closed.abort(new Error("The server closed the connection."));
  socket.once("close", close);
  try {
    const [answer] = (await once(socket, "data", { signal: closed.signal })) as [Buffer];
    return answer[0] === YES;
  } finally {
    socket.removeListener("close", close);
  }
}

/** A length of 8 and the number that stands for it. */
const TLS_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

const YES = "S".charCodeAt(0);

const DEFAULT_PORT = 5432;
