import type { Driver } from "../../driver.ts";
import type { Schema } from "../../schema.ts";
import { DATABASE_QUESTIONS } from "./database-questions.ts";
import type { DatabaseFacts } from "./database-facts.ts";
import { QUEUE_QUESTIONS } from "./queue-questions.ts";
import type { QueueFacts } from "./queue-facts.ts";
import type { Questions } from "./questions.ts";

/**
 * Asks one question about the database or the queue, in a transaction of its
 * own that can only read and ends after two seconds. Its settings keep the
 * planner to the indexes, and names to those of PostgreSQL. Rejects with the
 * error of the database, for instance when the role may not see the answer.
 */
export async function askDoctor<Q extends Question>(
  { driver, schema }: DoctorTarget,
  question: Q,
): Promise<DoctorFacts[Q]> {
  const text = QUESTIONS[question]((name) => schema.of(name), schema);
  const { rows } = await driver.transaction(async (transaction) => {
    await transaction.query({ text: SETTINGS });
    return transaction.query({ text: `select to_json(answer) from (${text}) as answer` });
  });
  return JSON.parse(rows[0]?.[0] ?? "null") as DoctorFacts[Q];
}

/** Where is asked. */
export interface DoctorTarget {
  readonly driver: Pick<Driver, "transaction">;
  readonly schema: Schema;
}

/** The answers by question. */
export interface DoctorFacts extends DatabaseFacts, QueueFacts {}

/** What can be asked. */
export type Question = keyof DoctorFacts;

const QUESTIONS: Questions<DoctorFacts> = { ...DATABASE_QUESTIONS, ...QUEUE_QUESTIONS };

const SETTINGS = `set transaction read only;
set local search_path = pg_catalog, pg_temp;
set local statement_timeout = '2s';
set local enable_seqscan = off;
set local max_parallel_workers_per_gather = 0;
set local jit = off`;
