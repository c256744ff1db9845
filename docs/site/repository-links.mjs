import { posix } from "node:path";
import { placeOf, sourceOf } from "./pages.mjs";

/**
 * A plugin of markdown-it: a link from one file of the repository to another leads to the page that it became. A file
 * that is no page is linked in `repository`, the address of its files, and is no link as long as that is not known.
 */
export function repositoryLinks(md, { repository } = {}) {
  md.core.ruler.push("repository-links", ({ tokens, env }) => {
    const file = sourceOf.get(env.relativePath);
    if (file === undefined) return;
    for (const token of tokens) {
      if (token.children) mapLinks(token.children, { file, repository });
      // A language that only the tests of this project know.
      if (token.type === "fence" && token.info.trim() === "tree") token.info = "text";
    }
  });
}

function mapLinks(children, { file, repository }) {
  const unlinked = [];
  for (const token of children) {
    if (token.type === "image") token.attrSet("src", pictureOf(file, token.attrGet("src")));
    if (token.type === "link_open") {
      const { href, title } = linkOf(file, token.attrGet("href"), repository);
      unlinked.push(href === undefined);
      if (href === undefined) asHtml(token, `<span class="source" title="${title}">`);
      else token.attrSet("href", href);
    }
    if (token.type === "link_close" && unlinked.pop()) asHtml(token, "</span>");
  }
}

function asHtml(token, content) {
  token.type = "html_inline";
  token.tag = "";
  token.nesting = 0;
  token.content = content;
}

/** Where a link of `file` leads: `{ href }`, or `{ title }` when it leads to a file that is not in the site. */
export function linkOf(file, link, repository) {
  if (/^[a-z]+:/i.test(link) || link.startsWith("#")) return { href: link };
  const [path, anchor] = link.split("#", 2);
  const target = posix.normalize(posix.join(posix.dirname(file), decodeURI(path)));
  const place = placeOf.get(target) ?? placeOf.get(posix.join(target, "README.md"));
  if (place !== undefined) return { href: `/${place}${anchor === undefined ? "" : `#${anchor}`}` };
  return repository ? { href: `${repository}/${target}` } : { title: target };
}

/** A picture beside its page, as a path from the page. */
function pictureOf(file, source) {
  if (/^[a-z]+:/i.test(source)) return source;
  const place = placeOf.get(posix.normalize(posix.join(posix.dirname(file), source)));
  const page = placeOf.get(file);
  if (place === undefined || page === undefined) return source;
  const path = posix.relative(posix.dirname(page), place);
  return path.startsWith(".") ? path : `./${path}`;
}

/** The anchor that GitHub gives a heading, so that one link is right in both places. */
export function slugOf(text) {
  return text
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, "")
    .replaceAll(" ", "-");
}
