const QUOTE = 34;
const COMMA = 44;
const BACKSLASH = 92;
const OPENING = new Set([91, 123]);
const CLOSING = new Set([93, 125]);

/**
 * The texts of the items of a JSON array, cut out of its own text. What is read
 * and written anew is not always the same: numbers beyond 2^53 are rounded, and
 * of two properties with one name the first is lost. `json` has to be an array
 * that `JSON.parse` accepts.
 */
export function arrayItems(json: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let start = 0;
  const endItem = (end: number): void => void items.push(json.slice(start, end).trim());
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) at = endOfString(json, at);
    else if (OPENING.has(code)) {
      depth += 1;
      if (depth === 1) start = at + 1;
    } else if (CLOSING.has(code)) {
      depth -= 1;
      if (depth === 0) endItem(at);
    } else if (code === COMMA && depth === 1) {
      endItem(at);
      start = at + 1;
    }
  }
  return items.length === 1 && items[0] === "" ? [] : items;
}

/** The place of the quote that ends the string which begins at `start`. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json.charCodeAt(at) !== QUOTE) at += json.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}
