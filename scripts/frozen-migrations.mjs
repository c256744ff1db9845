/**
 * The migrations that were released, with a hash of what PostgreSQL was given. Their text never changes again, neither
 * in the file nor through a fragment that it uses.
 *
 * @typedef {Record<string, { release: string, sha256: string }>} Frozen By the name of the file.
 * @typedef {Pick<import("./migrations.mjs").Migration, "file" | "sql">} Text
 */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";

const FILE = new URL("../src/postgres/migrations/frozen.json", import.meta.url);

/** @returns {Promise<Frozen>} */
export async function readFrozen() {
  return JSON.parse(await readFile(FILE, "utf8"));
}

/** @param {Frozen} frozen */
export async function writeFrozen(frozen) {
  await writeFile(FILE, `${JSON.stringify(frozen, null, 2)}\n`);
}

/**
 * Adds the migrations that no release had before.
 *
 * @type {(frozen: Frozen, migrations: readonly Text[], release: string) => Frozen}
 */
export function freeze(frozen, migrations, release) {
  const added = migrations
    .filter(({ file }) => !(file in frozen))
    .map(({ file, sql }) => [file, { release, sha256: hashOf(sql) }]);
  return { ...frozen, ...Object.fromEntries(added) };
}

/**
 * What has become of frozen migrations that must not have: one sentence each.
 *
 * @type {(frozen: Frozen, migrations: readonly Text[]) => string[]}
 */
export function changesOf(frozen, migrations) {
  return Object.entries(frozen).flatMap(([file, { release, sha256 }]) => {
    const now = migrations.find((migration) => migration.file === file);
    if (!now) return [`${file} was released with ${release} and is gone.`];
    if (hashOf(now.sql) === sha256) return [];
    return [
      `${file} was released with ${release} and has changed, in the file or in a fragment that it uses. ` +
        "Leave it as it was, and put the change into a new migration; a fragment that changes gets another name.",
    ];
  });
}

/** @param {string} sql */
function hashOf(sql) {
  return createHash("sha256").update(sql).digest("hex");
}
