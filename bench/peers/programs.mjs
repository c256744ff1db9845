import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const CACHE = fileURLToPath(new URL("../../.cache/bench/", import.meta.url));

/** The sides that are programs in other languages, by the word for `--with`: how each is built, and from what. */
const LANGUAGES = {
  rust: {
    folder: fileURLToPath(new URL("rust", import.meta.url)),
    manifest: "Cargo.toml",
    version: /^graphile_worker = \{ version = "=([^"]+)"/m,
    tool: "cargo",
    words: ["build", "--release", "--locked", "--target-dir", `${CACHE}rust`],
    program: `${CACHE}rust/release/howdah-bench-rust`,
  },
  go: {
    folder: fileURLToPath(new URL("go", import.meta.url)),
    manifest: "go.mod",
    version: /riverqueue\/river v(.+)$/m,
    tool: "go",
    words: ["build", "-o", `${CACHE}go/howdah-bench-go`, "."],
    program: `${CACHE}go/howdah-bench-go`,
  },
};

export const LANGUAGE_NAMES = Object.keys(LANGUAGES);

/** Where the program of a language is once it is built. */
export function programPath(language) {
  return LANGUAGES[language].program;
}

/** The version of the side that its manifest asks for. */
export function programVersion(language) {
  const { folder, manifest, version } = LANGUAGES[language];
  return version.exec(readFileSync(`${folder}/${manifest}`, "utf8"))[1];
}

/** Builds the program of a language, and says why it could not, or `undefined`. */
export function buildProgram(language) {
  const { folder, tool, words } = LANGUAGES[language];
  mkdirSync(CACHE, { recursive: true });
  console.log(`Building bench/peers/${language} …`);
  const { error, status } = spawnSync(tool, words, { cwd: folder, stdio: "inherit" });
  if (error?.code === "ENOENT") return `needs ${tool}, which is not on the PATH`;
  if (error) return `${tool} did not start: ${error.message}`;
  return status === 0 ? undefined : `\`${tool} ${words[0]}\` in bench/peers/${language} failed, as shown above`;
}
