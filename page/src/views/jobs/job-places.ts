/** Where a page of a list begins, and where the pages before it began: the API only goes on. Both are in the address. */
export interface PagePlace {
  /** Undefined for the first page. */
  readonly after: string | undefined;
  /** The places of the pages before, the last one at the end. */
  readonly back: string | undefined;
}

/** The next page, from this one. */
export function onTo(next: string, { after, back }: PagePlace): PagePlace {
  const places = back === undefined ? [] : back.split(BETWEEN);
  return { after: next, back: [...places, after ?? FIRST].slice(-MOST).join(BETWEEN) };
}

/** The page before this one; undefined where it is not known. */
export function pageBefore({ back }: PagePlace): PagePlace | undefined {
  if (back === undefined) return undefined;
  const places = back.split(BETWEEN);
  const place = places.pop();
  return { after: place === FIRST ? undefined : place, back: places.length === 0 ? undefined : places.join(BETWEEN) };
}

/** No cursor is written like this, nor has a dot in it. */
const FIRST = "first";
const BETWEEN = ".";

/** An address that is longer is cut off by some programs. */
const MOST = 12;
