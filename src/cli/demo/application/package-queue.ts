import { createHash } from "node:crypto";

/**
 * The queue of a file, by its path in the walked directory: the package that
 * contains it, `node_modules/x` or `node_modules/@s/x`, the innermost if they
 * are nested; otherwise its first two folders, or `.` without a folder.
 */
export function packageQueue(path: string): string {
  const folders = path.split("/").slice(0, -1);
  const modules = folders.lastIndexOf("node_modules");
  const isPackage = modules >= 0 && modules + 1 < folders.length;
  const depth = isPackage ? modules + (folders[modules + 1]?.startsWith("@") ? 3 : 2) : 2;
  return shortened(folders.slice(0, depth).join("/") || ".");
}

/** The longest name of a queue. */
const MAX_LENGTH = 128;

/** Long names are distinguished by a hash. */
function shortened(name: string): string {
  const characters = Array.from(name);
  if (characters.length <= MAX_LENGTH) return name;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 16);
  return `${characters.slice(0, MAX_LENGTH - 17).join("")}~${hash}`;
}
