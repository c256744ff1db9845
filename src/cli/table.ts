import Table from "cli-table3";

/** A column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly align?: "left" | "right";
  /** May be cut to fit a terminal. Other columns must only contain characters that take one column. */
  readonly flexible?: boolean;
  /**
   * Left out when the terminal is narrow, those with the highest number first.
   * Without it the column is always shown.
   */
  readonly dispensable?: number;
  /** One line, printable. */
  text(row: Row): string;
  /** The same for a program, where that is something else: a time in ISO 8601, a number without separators. */
  plain?(row: Row): string;
  /** Only for programs: for people it stands elsewhere. */
  readonly isForPrograms?: boolean;
  /** How to colour the text. */
  tint?(text: string, row: Row): string;
}

/** What a table needs of a screen. */
export interface TableScreen {
  readonly paint: { dim(text: string): string };
  readonly width: number | undefined;
}

/**
 * Prints rows: for people as a table, or what is said when there are none; in a
 * file or pipe with tabs between the columns, all of them, below their names,
 * which are there also without rows.
 */
export function printTable<Row>(
  screen: TableScreen & { print(line?: string): void },
  { columns, rows, none }: TableContent<Row>,
): void {
  if (screen.width === undefined) screen.print(separateByTabs(columns, rows));
  else screen.print(rows.length === 0 ? screen.paint.dim(none) : formatTable(screen, columns, rows));
}

/** What {@link printTable} prints. */
export interface TableContent<Row> {
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  /** What people are told when there are no rows. */
  readonly none: string;
}

function separateByTabs<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const lines = rows.map((row) => columns.map((column) => column.plain?.(row) ?? column.text(row)));
  return [columns.map(({ title }) => title), ...lines]
    .map((cells) => cells.map((cell) => cell.replaceAll(/[\t\n\r]/g, " ")).join("\t"))
    .join("\n");
}

/** A text that is cut to less is useless. */
const NARROWEST = 10;
const GAP = 2;

/** Writes rows as a table without lines for people, cut to the width of the terminal. */
export function formatTable<Row>(screen: TableScreen, all: readonly Column<Row>[], rows: readonly Row[]): string {
  const columns = all.filter(({ isForPrograms }) => isForPrograms !== true);
  const widths = columns.map((column) => naturalWidth(column, rows));
  const shown = fittingColumns(columns, widths, screen.width);
  const table = new Table({
    head: shown.map(({ column }) => screen.paint.dim(column.title)),
    chars: NO_LINES,
    style: { head: [], border: [], "padding-left": 0, "padding-right": GAP },
    colAligns: shown.map(({ column }) => column.align ?? "left"),
    colWidths: shown.map(({ width }) => width ?? null),
  });
  for (const row of rows) {
    table.push(shown.map(({ column }) => column.tint?.(column.text(row), row) ?? column.text(row)));
  }
  // The gap behind the last column would only wrap in a terminal.
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

interface ShownColumn<Row> {
  readonly column: Column<Row>;
  /** `undefined` for the natural width. */
  readonly width: number | undefined;
}

/** Leaves out columns until the others fit, and divides the remaining width among the flexible ones. */
function fittingColumns<Row>(
  columns: readonly Column<Row>[],
  widths: readonly number[],
  limit: number | undefined,
): ShownColumn<Row>[] {
  const all = columns.map((column, index) => ({ column, natural: (widths[index] ?? 0) + GAP }));
  if (limit === undefined) return all.map(({ column }) => ({ column, width: undefined }));
  let kept = all;
  while (leastWidth(kept) > limit) {
    const most = Math.max(...kept.map(({ column }) => column.dispensable ?? 0));
    if (most === 0) break;
    kept = kept.filter(({ column }) => column.dispensable !== most);
  }
  const room = limit - sum(kept.filter(({ column }) => !column.flexible));
  return shareRoom(kept, room);
}

function shareRoom<Row>(kept: readonly Measured<Row>[], room: number): ShownColumn<Row>[] {
  let left = room;
  let waiting = kept.filter(({ column }) => column.flexible).length;
  const byNeed = kept.filter(({ column }) => column.flexible).sort((a, b) => a.natural - b.natural);
  const given = new Map<Column<Row>, number>();
  for (const { column, natural } of byNeed) {
    const width = Math.max(GAP + 2, Math.min(natural, Math.floor(left / waiting)));
    given.set(column, width);
    left -= width;
    waiting -= 1;
  }
  return kept.map(({ column }) => ({ column, width: given.get(column) }));
}

interface Measured<Row> {
  readonly column: Column<Row>;
  readonly natural: number;
}

function leastWidth<Row>(columns: readonly Measured<Row>[]): number {
  return columns.reduce(
    (total, { column, natural }) => total + (column.flexible ? Math.min(natural, NARROWEST + GAP) : natural),
    0,
  );
}

function sum<Row>(columns: readonly Measured<Row>[]): number {
  return columns.reduce((total, { natural }) => total + natural, 0);
}

function naturalWidth<Row>({ title, text }: Column<Row>, rows: readonly Row[]): number {
  return rows.reduce((width, row) => Math.max(width, widthOf(text(row))), title.length);
}

/** A guess that is never too small for the scripts in which a character takes two columns. */
function widthOf(text: string): number {
  return text.length + (text.match(/[\u1100-\uffdc]/g)?.length ?? 0);
}

const NO_LINES = Object.fromEntries(
  ["top", "bottom", "left", "mid", "right"]
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .concat("middle")
    .map((name) => [name, ""]),
);
