import type { PageClock } from "../clock.ts";
import { Problem, problemOf, toProblem } from "./problem.ts";

/** Conditions of a request; what is undefined or empty is left out. */
export type Params = Readonly<Record<string, string | number | boolean | undefined>>;

/** What {@link Api} stands on. */
export interface ApiParts {
  /** Where the API is, with a slash at the end: `https://example.com/admin/api/v1/`. */
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly clock: PageClock;
}

/** How long the page waits for an answer: longer than the server waits for the database. */
const TIMEOUT_MS = 15_000;

/** Asks the server. Every method rejects with a {@link Problem}. */
export class Api {
  readonly #parts: ApiParts;
  /** For servers that want a token in a header; kept in memory only. */
  token = "";

  constructor(parts: ApiParts) {
    this.#parts = parts;
  }

  /** Reads something. */
  async get<T>(path: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
    return (await this.#ask(address(path, params), { method: "GET" }, signal)) as T;
  }

  /** Changes something, or asks what a change would do. */
  async post<T>(path: string, body: unknown): Promise<T> {
    // The header is one that no form and no foreign page can send.
    const headers = { "content-type": "application/json", "x-howdah-request": "1" };
    return (await this.#ask(path, { method: "POST", headers, body: JSON.stringify(body) })) as T;
  }

  /** Opens a stream of events; rejects when there is none. */
  async stream(path: string, params: Params, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const headers = { accept: "text/event-stream", ...this.#authorisation() };
    const response = await this.#fetch(address(path, params), { headers, signal });
    if (response.ok && response.body) return response.body;
    throw problemOf(response.status, await bodyOf(response));
  }

  async #ask(path: string, init: RequestInit, signal?: AbortSignal): Promise<unknown> {
    const limit = new AbortController();
    const cancel = this.#parts.clock.after(TIMEOUT_MS, () => limit.abort());
    signal?.addEventListener("abort", () => limit.abort(), { once: true });
    try {
      const headers = { ...(init.headers as Record<string, string> | undefined), ...this.#authorisation() };
      const response = await this.#fetch(path, { ...init, headers, signal: limit.signal });
      const body = await bodyOf(response);
      if (!response.ok) throw problemOf(response.status, body);
      return body;
    } catch (error) {
      if (limit.signal.aborted) throw new Problem("slow", `The server did not answer in ${TIMEOUT_MS / 1_000} s.`);
      throw error;
    } finally {
      cancel();
    }
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const { fetch, url } = this.#parts;
    try {
      return await fetch(new URL(path, url), { credentials: "same-origin", cache: "no-store", ...init });
    } catch (error) {
      throw toProblem(error);
    }
  }

  #authorisation(): Record<string, string> {
    return this.token === "" ? {} : { authorization: `Bearer ${this.token}` };
  }
}

/** A path with its conditions, in the order in which they were given. */
export function address(path: string, params: Params): string {
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== "");
  if (given.length === 0) return path;
  return `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

async function bodyOf(response: Response): Promise<unknown> {
  const type = response.headers.get("content-type") ?? "";
  if (!type.includes("json")) return undefined;
  try {
    return await response.json();
  } catch {
    return undefined;
  }
}
