import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

const BUILT = resolve(import.meta.dirname, "../../dist/admin/page");

/** What a first visit of the overview may load, gzipped. */
const MOST_BYTES = 90_000;

/** What vite writes of a chunk into its manifest. */
interface Chunk {
  readonly file: string;
  readonly isEntry?: boolean;
  readonly src?: string;
  readonly imports?: readonly string[];
  readonly dynamicImports?: readonly string[];
  readonly css?: readonly string[];
  readonly assets?: readonly string[];
}

const manifest = JSON.parse(readFileSync(join(BUILT, "manifest.json"), "utf8")) as Readonly<Record<string, Chunk>>;

/** A chunk, and everything that is loaded before it runs. */
function filesOf(name: string): string[] {
  const { file, css = [], imports = [] } = manifest[name] as Chunk;
  return [file, ...css, ...imports.flatMap(filesOf)];
}

function zippedBytes(file: string): number {
  return gzipSync(readFileSync(join(BUILT, file)), { level: 9 }).length;
}

const entry = Object.keys(manifest).find((name) => manifest[name]?.isEntry);

it("loads at most 90 kB for a first visit of the overview, uPlot and styles included", () => {
  const plot = Object.keys(manifest).find((name) => name.endsWith("backlog-plot.ts"));
  const first = new Set(["index.html", ...filesOf(entry ?? ""), ...filesOf(plot ?? "")]);
  const sizes = [...first].map((file) => ({ file, bytes: zippedBytes(file) }));
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  const others = Object.values(manifest).filter(({ file }) => !first.has(file));
  const lines = [
    ...sizes.map(({ file, bytes }) => `${String(bytes).padStart(7)}  ${file}`),
    `${String(total).padStart(7)}  first visit of the overview, of ${MOST_BYTES}`,
    ...others.map(({ file }) => `${String(zippedBytes(file)).padStart(7)}  ${file} (later)`),
  ];
  process.stdout.write(`Bytes of the page, gzipped:\n${lines.join("\n")}\n`);
  expect(total).toBeLessThanOrEqual(MOST_BYTES);
});

it("refers to nothing by an absolute path, and has no script or style of its own", () => {
  const html = readFileSync(join(BUILT, "index.html"), "utf8");
  expect([...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^\.\/assets\/index-[\w-]+\.js$/)]),
  );
  expect(html).not.toMatch(/(?:src|href)="(?:\/|[a-z]+:)/);
  expect(html).not.toMatch(/<style|style=|<script(?![^>]* src=)| on[a-z]+="/);
});

it("has nothing that a strict policy forbids", () => {
  for (const { file } of Object.values(manifest).filter(({ file }) => file.endsWith(".js"))) {
    const text = readFileSync(join(BUILT, file), "utf8");
    // Preact knows the property by its name, and the page never uses it.
    expect({ file, found: text.match(/\beval\(|new Function|document\.write/g) }).toEqual({ file, found: null });
  }
});

it("names every file by its content, so that it can be kept for ever", () => {
  const files = Object.values(manifest).flatMap(({ file, css = [], assets = [] }) => [file, ...css, ...assets]);
  expect(files.filter((file) => !/-[\w-]{8}\.(js|css|svg)$/.test(file))).toEqual([]);
  expect(files.every((file) => existsSync(join(BUILT, file)))).toBe(true);
});
