import { posix } from "node:path";
import { placeOf } from "./pages.mjs";

/**
 * The navigation of the site, read from docs/README.md: a heading is a part, a bold word in front of links a group of
 * it. So a page is found in both places or in none.
 */
export function readNavigation(markdown) {
  const parts = markdown.split(/^## /m).slice(1);
  return parts.flatMap((part) => {
    const [title = "", ...lines] = part.split("\n");
    const groups = lines.filter((line) => line.startsWith("- ")).map((line) => readGroup(line));
    const named = groups.filter(({ text }) => text !== undefined).map((group) => ({ ...group, collapsed: false }));
    const rest = groups.filter(({ text }) => text === undefined).flatMap(({ items }) => items);
    return [...named, ...(rest.length > 0 ? [{ text: title, collapsed: named.length > 0, items: rest }] : [])];
  });
}

function readGroup(line) {
  const text = /^- \*\*(.+?)\.?\*\*/.exec(line)?.[1];
  const links = [...line.matchAll(/\[([^\]]+)\]\(([^)#\s]+)\)/g)];
  const items = links.map(([, label, path]) => {
    const place = placeOf.get(posix.normalize(posix.join("docs", path)));
    if (place === undefined) throw new Error(`docs/README.md links to ${path}, which is not in the site.`);
    return { text: label.replaceAll("`", ""), link: `/${place.replace(/(index)?\.md$/, "")}` };
  });
  return { text, items };
}

/** The pages of guides and reference that the navigation does not have. */
export function missingFrom(navigation) {
  const known = new Set(navigation.flatMap(({ items }) => items.map(({ link }) => link)));
  return [...placeOf]
    .filter(([file]) => /^docs\/(guides|reference|internals)\/.*\.md$/.test(file))
    .filter(([, place]) => !known.has(`/${place.replace(/\.md$/, "")}`))
    .map(([file]) => file);
}
