import { describe, expect, it } from "vitest";
import { anchorsOf, linksOf } from "./markdown.ts";

describe("linksOf", () => {
  it.each([
    ["an inline link", "see [this](../a.md#b)", ["../a.md#b"]],
    ["an image with a title", '![chart](chart.svg "Jobs a second")', ["chart.svg"]],
    ["a reference", "[Unreleased]: docs/x.md", ["docs/x.md"]],
    ["HTML", '<img src="logo.svg">', ["logo.svg"]],
    ["a badge inside of a link", "[![npm](badge.svg)](package.json)", ["badge.svg", "package.json"]],
  ])("finds %s", (_, markdown, links) => {
    expect(linksOf(markdown)).toEqual(links);
  });

  it.each([
    ["other sites", "[npm](https://example.com) [mail](mailto:a@example.com)"],
    ["a fenced block", "```ts\nconst a = b[0](c)\n```"],
    ["inline code", "call `handlers[0](event)` twice"],
  ])("leaves out %s", (_, markdown) => {
    expect(linksOf(markdown)).toEqual([]);
  });
});

describe("anchorsOf", () => {
  it("writes headings as GitHub does", () => {
    const markdown = "# How to: run `npm test`?\n## A\n## A\n```sh\n# not a heading\n```\n### HOWDAH_X";
    expect(anchorsOf(markdown)).toEqual(["how-to-run-npm-test", "a", "a-1", "howdah_x"]);
  });
});
