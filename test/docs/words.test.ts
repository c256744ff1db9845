import { expect, it } from "vitest";
import { projectFiles, readProjectFile } from "./project-tree.ts";
import { EXCEPTIONS, type Word, WORDS } from "./words.ts";

const READ = /\.(ts|js|mjs|sql|md|svg)$/;

/** What may stand between two words: space, or the end of a line and the mark of a comment at the next one's start. */
const GAP = String.raw`(?:[ \t]+|\s*\n\s*(?:\*|//|--|#|>)?\s*)`;

const PATTERNS = WORDS.map((word) => ({ ...word, pattern: patternOf(word) }));

function patternOf({ word }: Word): RegExp {
  return new RegExp(String.raw`(?<![\w-])${word.replaceAll(" ", GAP)}(?![\w-])`, "gi");
}

/** One line for each word that `text` should not have: where it stands, and what to write. */
function wordsIn(path: string, text: string): string[] {
  return PATTERNS.flatMap(({ word, instead, pattern }) =>
    [...text.matchAll(pattern)].map(({ index }) => {
      const line = text.slice(0, index).split("\n").length;
      return `${path}:${line}: "${word}": write ${instead}`;
    }),
  );
}

it("finds none of the words that this project does not use", () => {
  const paths = projectFiles()
    .filter((path) => READ.test(path) && !path.endsWith(".generated.ts"))
    .filter((path) => !EXCEPTIONS.some((exception) => exception.path === path));
  expect(paths.length).toBeGreaterThan(500);
  expect(paths.flatMap((path) => wordsIn(path, readProjectFile(path)))).toEqual([]);
});

it("finds such a word with its line, whatever its capitals, also one that a line end divides", () => {
  const text = "/**\n * Nobody reads so\n * many. A somebodyElse.\n */\n-- to be\n-- had";
  expect(wordsIn("a.ts", text)).toEqual([
    'a.ts:2: "nobody": write who does not: no worker, no other transaction, no caller',
    'a.ts:2: "so many": write N, a number of, at most N',
    'a.ts:5: "to be had": write available',
  ]);
});

it("excepts only files that exist", () => {
  const files = projectFiles();
  expect(EXCEPTIONS.filter(({ path }) => !files.includes(path))).toEqual([]);
});
