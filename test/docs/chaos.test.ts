import { describe, expect, it } from "vitest";
import { projectFiles, readProjectFile } from "./project-tree.ts";

const RESULT = "test/chaos/results/latest.json";
const documents = projectFiles().filter((file) => file.endsWith(".md") && !file.startsWith("test/chaos/"));
const result = readProjectFile(RESULT);

/** What stands between `<!-- chaos -->` and `<!-- /chaos -->`. */
function quotesOf(markdown: string): string[] {
  return [...markdown.matchAll(/<!-- chaos -->(.*?)<!-- \/chaos -->/gs)].map(([, text = ""]) => text);
}

/** The numbers of a text, as they are written and without commas. Those in code are names and commands. */
function numbersOf(text: string): number[] {
  const prose = text.replaceAll(/`[^`]*`/g, "");
  return [...prose.matchAll(/\d[\d,]*/g)].map(([digits]) => Number(digits.replaceAll(",", "")));
}

/** The figures of the last long run: every number in its result. */
const figures = new Set([...result.matchAll(/\d+(\.\d+)?/g)].map(([digits]) => Number(digits)));

describe("figures of chaos runs", () => {
  it.each(documents)("%s quotes none that is not in the result of the last long run", (document) => {
    const quoted = quotesOf(readProjectFile(document)).flatMap(numbersOf);
    expect(quoted.filter((number) => !figures.has(number))).toEqual([]);
  });

  it("come from a run in which every promise was kept", () => {
    expect(JSON.parse(result)).toMatchObject({ violations: 0 });
  });

  it("are found with and without commas, and not in code", () => {
    const [text = ""] = quotesOf("a <!-- chaos -->1,200 jobs, 12 times `kill -9`<!-- /chaos --> 7");
    expect(numbersOf(text)).toEqual([1200, 12]);
  });
});
