import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

/** The links within a built site that lead to no page, or to no place of it, as `{ page, link }`. */
export function deadLinks(built) {
  const pages = readdirSync(built, { recursive: true })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.endsWith(".html"))
    .sort((a, b) => (a < b ? -1 : 1));
  const texts = new Map(pages.map((page) => [page, readFileSync(join(built, page), "utf8")]));
  const ids = new Map([...texts].map(([page, text]) => [page, new Set(all(text, /\sid="([^"]+)"/g))]));
  return [...texts].flatMap(([page, text]) =>
    all(text, /<a\s[^>]*href="([^"]+)"/g)
      .filter((link) => !/^[a-z]+:/i.test(link) && isDead(page, link))
      .map((link) => ({ page, link })),
  );

  function isDead(page, link) {
    const [path, anchor = ""] = decodeURIComponent(link.replaceAll("&amp;", "&")).split("#", 2);
    const target = path === "" ? page : targetOf(page, path);
    const known = ids.get(target);
    if (known === undefined) return !existsSync(join(built, target));
    return anchor !== "" && !known.has(anchor);
  }
}

function targetOf(page, path) {
  const full = path.startsWith("/") ? path.slice(1) : posix.join(posix.dirname(page), path);
  if (full === "" || full.endsWith("/")) return `${full}index.html`;
  return /\.[a-z]+$/.test(full) ? full : `${full}.html`;
}

function all(text, pattern) {
  return [...text.matchAll(pattern)].map(([, found]) => found);
}
