/**
 * Reads the folder map of ARCHITECTURE.md: the first block fenced as `tree`. Each line names one folder (`job/`) or
 * file (`errors.ts`), two spaces deeper than the folder it lies in, and may go on with a description.
 *
 * @throws Error when there is no such block, or a line lies in no folder
 */
export function readFolderMap(markdown: string): { folders: string[]; files: string[] } {
  const block = /^```tree\n([\s\S]*?)^```$/m.exec(markdown)?.[1];
  if (block === undefined) throw new Error("There is no block fenced as ```tree.");
  const folders: string[] = [];
  const files: string[] = [];
  const open: string[] = [];
  for (const line of block.split("\n").filter((text) => text.trim() !== "")) {
    const [, indent = "", name = ""] = /^( *)(\S+)/.exec(line) ?? [];
    const depth = indent.length / 2;
    if (!Number.isInteger(depth) || depth > open.length) throw new Error(`This line lies in no folder: ${line}`);
    const path = [...open.slice(0, depth), name.replace(/\/$/, "")].join("/");
    open.length = depth;
    if (!name.endsWith("/")) files.push(path);
    else {
      folders.push(path);
      open.push(name.slice(0, -1));
    }
  }
  return { folders, files };
}
