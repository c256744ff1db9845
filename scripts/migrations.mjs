/** The migrations as PostgreSQL gets them, but for the schema's name. */
import { readFile, readdir } from "node:fs/promises";
import { expandFragments, readFragments } from "./sql-fragments.mjs";

const FOLDER = new URL("../src/postgres/migrations/", import.meta.url);

/**
 * @typedef {object} Migration
 * @property {number} id
 * @property {string} name
 * @property {string} file
 * @property {string} sql
 * @property {number} breaksBefore As the line "-- Breaks releases before revision N." says; 0 without one.
 * @property {boolean} isNumbered False for `new-name.sql`, whose number is still open.
 */

/**
 * All of them in order, with every fragment of src/postgres/migrations/fragments in its place. A migration that is not
 * on the main branch yet is named `new-name.sql` and comes after those with a number.
 *
 * @returns {Promise<Migration[]>}
 */
export async function readMigrations() {
  const fragments = readFragments(await readSql(new URL("fragments/", FOLDER)));
  const files = await readSql(FOLDER);
  const texts = expandFragments(files, fragments);
  return files.map(({ file }, index) => {
    const [, number = "", name = ""] = /^(\d{6}|new)-([a-z0-9]+(?:-[a-z0-9]+)*)\.sql$/.exec(file) ?? [];
    if (name === "") throw new Error(`${file}: a migration is named like 000001-tables.sql, or new-tables.sql`);
    const isNumbered = number !== "new";
    if (isNumbered && Number(number) !== index + 1) {
      throw new Error(`${file}: migrations are numbered from 000001 without gaps`);
    }
    const sql = texts[index]?.trim() ?? "";
    if (sql === "") throw new Error(`${file}: a migration is not empty`);
    return { id: index + 1, name, file, sql, breaksBefore: breaksBeforeOf(sql, file, index + 1), isNumbered };
  });
}

/**
 * Releases that do not know this revision cannot use the schema after this migration.
 *
 * @type {(sql: string, file: string, id: number) => number}
 */
export function breaksBeforeOf(sql, file, id) {
  const breaksBefore = Number(/^-- Breaks releases before revision (\d+)\.$/m.exec(sql)?.[1] ?? 0);
  if (breaksBefore > id)
    throw new Error(`${file}: breaks releases before revision ${breaksBefore}, which is later than its own`);
  return breaksBefore;
}

/** @param {URL} folder */
async function readSql(folder) {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort();
  return Promise.all(files.map(async (file) => ({ file, text: await readFile(new URL(file, folder), "utf8") })));
}
