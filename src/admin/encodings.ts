import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

/** The encodings in which files of the page are sent, the smaller first. */
export type FileEncoding = "br" | "gzip";

/** The best encoding that a browser takes, by its header `Accept-Encoding`; `undefined` for none. */
export function encodingFor(accept: string | null): FileEncoding | undefined {
  const taken = new Map<string, boolean>();
  for (const part of (accept ?? "").toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim());
    taken.set(name, !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter)));
  }
  const isTaken = (name: FileEncoding): boolean => taken.get(name) ?? taken.get("*") ?? false;
  return (["br", "gzip"] as const).find(isTaken);
}

/** Whether a file of this type becomes smaller: pictures and fonts are compressed already. */
export function isCompressible(type: string): boolean {
  return /^(?:text\/|application\/(?:json|manifest\+json)|image\/svg\+xml)/.test(type);
}

/** Compresses a file, in a thread of its own. */
export async function compress(body: Buffer, encoding: FileEncoding): Promise<Buffer> {
  if (encoding === "gzip") return promisify(gzip)(body, { level: 9 });
  const { BROTLI_PARAM_MODE, BROTLI_MODE_TEXT, BROTLI_PARAM_QUALITY } = constants;
  // The best takes many times as long for a few hundredths of the size.
  const params = { [BROTLI_PARAM_MODE]: BROTLI_MODE_TEXT, [BROTLI_PARAM_QUALITY]: 9 };
  return promisify(brotliCompress)(body, { params });
}
