import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

export const SITE = import.meta.dirname;
const ROOT = resolve(SITE, "../..");

/** The site is built of copies, because its pages lie in several folders of the repository. */
export const STAGED = join(ROOT, ".cache/site/pages");

/** Where the site is built. */
export const BUILT = join(ROOT, ".cache/site/built");

/** Where files outside of docs/ become pages. */
const ELSEWHERE = {
  "docs/site/index.md": "index.md",
  "docs/README.md": "overview.md",
  "README.md": "readme.md",
  "examples/README.md": "examples/index.md",
  "bench/results/README.md": "benchmarks/results.md",
  "ARCHITECTURE.md": "contributing/architecture.md",
  "CONTRIBUTING.md": "contributing/index.md",
  "CHANGELOG.md": "changelog.md",
  "SECURITY.md": "security-policy.md",
  "test/README.md": "contributing/tests.md",
  "test/behaviours.md": "contributing/behaviours.md",
  "test/concurrency.md": "contributing/concurrency.md",
  "test/chaos/README.md": "contributing/chaos.md",
};

/** Folders whose files are shown as code. */
const CODE = [
  { folder: "examples", endings: [".mjs", ".js", ".ts"], to: "examples" },
  { folder: "docs/guides", endings: [".sql"], to: "guides" },
];

/** Pictures, and where they lie in the site. */
const PICTURES = [
  { folder: "docs/pictures", to: "pictures" },
  { folder: "docs/guides", to: "guides" },
  { folder: "bench/results/charts", to: "benchmarks/charts" },
];

const LANGUAGES = { mjs: "js", js: "js", ts: "ts", sql: "sql" };

/** Every file of the repository that the site has, with its place there: a page, a page that shows code, or a picture. */
export const files = listFiles();

/** The place of a file of the repository in the site. */
export const placeOf = new Map(files.map(({ file, place }) => [file, place]));

/** The file of the repository that a page was made of. */
export const sourceOf = new Map(files.map(({ file, place }) => [place, file]));

function listFiles() {
  const pages = filesBelow("docs")
    .filter((file) => file.endsWith(".md") && !file.startsWith("docs/site/") && !(file in ELSEWHERE))
    .map((file) => ({ kind: "page", file, place: file.slice("docs/".length).replace(/README\.md$/, "index.md") }));
  const others = Object.entries(ELSEWHERE).map(([file, place]) => ({ kind: "page", file, place }));
  const code = CODE.flatMap(({ folder, endings, to }) =>
    filesBelow(folder)
      .filter((file) => endings.some((ending) => file.endsWith(ending)))
      .map((file) => ({
        kind: "code",
        file,
        place: `${to}/${file.slice(folder.length + 1).replaceAll(/[/.]/g, "-")}.md`,
      })),
  );
  const pictures = PICTURES.flatMap(({ folder, to }) =>
    filesBelow(folder)
      .filter((file) => file.endsWith(".svg"))
      .map((file) => ({ kind: "picture", file, place: `${to}/${basename(file)}` })),
  );
  return [...pages, ...others, ...code, ...pictures];
}

function filesBelow(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"))
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
    .sort();
}

/** Copies the pages to where the site is built of them. */
export function stagePages() {
  rmSync(STAGED, { recursive: true, force: true });
  for (const { kind, file, place } of files) {
    const target = join(STAGED, place);
    mkdirSync(dirname(target), { recursive: true });
    if (kind === "code") writeFileSync(target, codePage(file));
    else cpSync(join(ROOT, file), target);
  }
}

function codePage(file) {
  const name = basename(file);
  const language = LANGUAGES[name.split(".").at(-1)] ?? "text";
  const code = readFileSync(join(ROOT, file), "utf8").trimEnd();
  return `# ${name}\n\nThe file \`${file}\` of the repository.\n\n\`\`\`\`${language}\n${code}\n\`\`\`\`\n`;
}
