import { createHash } from "node:crypto";
import type { Driver, Executor } from "../../../index.ts";
import type { HashedFile } from "./hash-file.ts";
import { packageQueue } from "./package-queue.ts";
import type { FoundFile } from "./walk-files.ts";

/**
 * The demo's own table, beside the tables of the queue: one row a file, written
 * when its job is added and again when the job has run. Its statements name
 * everything by its schema, as all of Howdah's do: a role's search_path may hold
 * anything.
 */
export class FilesTable {
  readonly #driver: Driver;
  readonly #directory: string;
  readonly #name: string;

  constructor(driver: Driver, { schema, directory }: { readonly schema: string; readonly directory: string }) {
    this.#driver = driver;
    this.#directory = directory;
    this.#name = `"${schema.replaceAll('"', '""')}".demo_files`;
  }

  /** Creates the table if it does not exist. */
  async create(): Promise<void> {
    await this.#driver.query({
      text: `
        create table if not exists ${this.#name} (
          id pg_catalog.text primary key,
          directory pg_catalog.text not null,
          path pg_catalog.text not null,
          queue pg_catalog.text not null,
          stamp pg_catalog.text not null,
          sha256 pg_catalog.text,
          bytes pg_catalog.int8,
          started_at pg_catalog.timestamptz,
          ended_at pg_catalog.timestamptz,
          problem pg_catalog.text
        ) with (fillfactor = 50)`,
    });
  }

  /** Deletes the rows of all files of the directory. */
  async clear(): Promise<void> {
    await this.#driver.query({
      text: `delete from ${this.#name} where directory operator(pg_catalog.=) $1`,
      values: [this.#directory],
    });
  }

  /** Stores files and returns the paths of those that must be hashed: new ones and those that have changed. */
  async note(transaction: Executor, found: readonly FoundFile[]): Promise<string[]> {
    const files = found.map(({ path, stamp }) => ({ id: this.#id(path), path, stamp, queue: packageQueue(path) }));
    const { rows } = await transaction.query({
      name: "demo_note_files",
      // $1 directory   $2 files as JSON
      text: `
        insert into ${this.#name} as file (id, directory, path, queue, stamp)
        select found.id, $1, found.path, found.queue, found.stamp
        from pg_catalog.json_to_recordset($2::pg_catalog.json) as found (
          id pg_catalog.text, path pg_catalog.text, queue pg_catalog.text, stamp pg_catalog.text
        )
        on conflict (id) do update
        set stamp = excluded.stamp, sha256 = null, bytes = null, started_at = null, ended_at = null, problem = null
        where file.sha256 is not null and file.stamp operator(pg_catalog.<>) excluded.stamp
        returning path`,
      values: [this.#directory, JSON.stringify(files)],
    });
    return rows.map(([path]) => path ?? "");
  }

  /** Stores the result of a job. */
  async writeHash(file: FileToHash, hash: TimedHash): Promise<void> {
    const { sha256, bytes, stamp, startedAtMs, endedAtMs } = hash;
    await this.#driver.query({
      name: "demo_write_hash",
      // $1 id   $2 hash   $3 bytes   $4 stamp   $5, $6 start and end in seconds since 1970
      text: `
        update ${this.#name}
        set
          sha256 = $2, bytes = $3, stamp = $4, problem = null,
          started_at = pg_catalog.to_timestamp($5), ended_at = pg_catalog.to_timestamp($6)
        where id operator(pg_catalog.=) $1`,
      values: [fileId(file), sha256, String(bytes), stamp, String(startedAtMs / 1e3), String(endedAtMs / 1e3)],
    });
  }

  /** Stores why a file has no hash. */
  async writeProblem(file: FileToHash, problem: string): Promise<void> {
    await this.#driver.query({
      text: `update ${this.#name} set problem = $2 where id operator(pg_catalog.=) $1`,
      values: [fileId(file), problem.replaceAll("\0", "")],
    });
  }

  /** How many files of the directory there are, and how many of them still wait for their hash. */
  async count(): Promise<{ readonly all: number; readonly waiting: number }> {
    const { rows } = await this.#driver.query({
      text: `
        select pg_catalog.count(*), pg_catalog.count(*) filter (where sha256 is null and problem is null)
        from ${this.#name} where directory operator(pg_catalog.=) $1`,
      values: [this.#directory],
    });
    return { all: Number(rows[0]?.[0]), waiting: Number(rows[0]?.[1]) };
  }

  /**
   * Deletes the rows of files without a hash, so that the next run tries them
   * again, and returns the problem of each.
   */
  async takeProblems(): Promise<{ path: string; problem: string }[]> {
    const { rows } = await this.#driver.query({
      text: `
        delete from ${this.#name} where directory operator(pg_catalog.=) $1 and sha256 is null
        returning path, coalesce(problem, 'its job is gone')`,
      values: [this.#directory],
    });
    return rows.map(([path, problem]) => ({ path: path ?? "", problem: problem ?? "" }));
  }

  /** Deletes files by their ids. */
  async forget(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#driver.query({
      text: `
        delete from ${this.#name}
        where id operator(pg_catalog.=) any (select pg_catalog.json_array_elements_text($1::pg_catalog.json))`,
      values: [JSON.stringify(ids)],
    });
  }

  /** Yields the files with a hash by path, some thousand at a time, all of one snapshot. */
  async eachBatch(work: (rows: readonly HashedRow[]) => Promise<void>): Promise<void> {
    await this.#driver.transaction(async (transaction) => {
      await transaction.query({
        text: `
          declare hashed no scroll cursor for
          select id, path, stamp, sha256 from ${this.#name}
          where directory operator(pg_catalog.=) $1 and sha256 is not null
          order by path collate pg_catalog."C"`,
        values: [this.#directory],
      });
      for (;;) {
        const { rows } = await transaction.query({ text: "fetch 5000 from hashed" });
        if (rows.length === 0) return;
        await work(rows.map(([id, path, stamp, sha256]) => toRow([id, path, stamp, sha256])));
      }
    });
  }

  /** Computes the summary, and from the recorded times how many jobs ran at once. */
  async summarize(): Promise<FilesSummary> {
    const { rows } = await this.#driver.query({
      text: `
        with hashed as (
          select * from ${this.#name} where directory operator(pg_catalog.=) $1 and sha256 is not null
        ), edge as (
          select queue, started_at as at, 1 as step from hashed
          union all
          select queue, ended_at, -1 from hashed
        ), level as (
          select
            pg_catalog.sum(step) over (order by at, step) as all_queues,
            pg_catalog.sum(step) over (partition by queue order by at, step) as one_queue
          from edge
        )
        select
          (select pg_catalog.count(*) from hashed), (select coalesce(pg_catalog.sum(bytes), 0) from hashed),
          (select pg_catalog.count(distinct queue) from hashed),
          coalesce(pg_catalog.max(all_queues), 0), coalesce(pg_catalog.max(one_queue), 0)
        from level`,
      values: [this.#directory],
    });
    const [files = 0, bytes = 0, queues = 0, highestConcurrency = 0, highestQueueConcurrency = 0] =
      rows[0]?.map(Number) ?? [];
    return { files, bytes, queues, highestConcurrency, highestQueueConcurrency };
  }

  #id(path: string): string {
    return fileId({ directory: this.#directory, path });
  }
}

/** One file: also the payload of its job. */
export interface FileToHash {
  readonly directory: string;
  /** Below the directory. */
  readonly path: string;
}

/** A hash and when it was made, in milliseconds since 1970. */
export interface TimedHash extends HashedFile {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/** The row of a hashed file. */
export interface HashedRow {
  readonly id: string;
  readonly path: string;
  readonly stamp: string;
  readonly sha256: string;
}

/** A summary of the files of a directory. */
export interface FilesSummary {
  readonly files: number;
  readonly bytes: number;
  readonly queues: number;
  /** The most jobs that ran at one moment, by the recorded times. */
  readonly highestConcurrency: number;
  /** The same for each single queue. */
  readonly highestQueueConcurrency: number;
}

/** A path may be longer than what an index of PostgreSQL can hold. */
function fileId({ directory, path }: FileToHash): string {
  return createHash("sha256").update(`${directory}\0${path}`).digest("hex").slice(0, 32);
}

function toRow([id, path, stamp, sha256]: readonly (string | null | undefined)[]): HashedRow {
  return { id: id ?? "", path: path ?? "", stamp: stamp ?? "", sha256: sha256 ?? "" };
}
