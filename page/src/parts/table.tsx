import type { ComponentChild, ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Command } from "../keyboard/key-map.ts";
import { followRows } from "../keyboard/rows.ts";

/** One column of a table. */
export interface Column<Row> {
  readonly key: string;
  readonly title: string;
  readonly render: (row: Row) => ComponentChild;
  /** Of buttons: the title is for those who hear the table. */
  readonly isTitleAloud?: boolean;
  /** Numbers and times stand at the end. */
  readonly isFigure?: boolean;
  /** On a phone, a figure has its title in front of it, unless it says itself what it is. */
  readonly isPlain?: boolean;
  /** Where it stands in the two lines of a row on a phone: on top, at its end, or below. */
  readonly narrow?: "top" | "end" | "below" | "none";
}

interface TableProps<Row> {
  /** What the rows are, for those who hear the table. */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** Where a row leads; the first column is its link. */
  readonly href?: (row: Row) => string;
  readonly selection?: TableSelection | undefined;
  /** Further looks of a row: `alarming`. */
  readonly lookOf?: (row: Row) => string | undefined;
  /** What the row with the focus does with a key; false leaves it to others. */
  readonly onCommand?: (command: Command, row: Row | undefined) => boolean;
  /** Instead of rows. */
  readonly empty?: ComponentChildren;
}

/** Which rows are selected, and how that changes. */
interface TableSelection {
  readonly has: (key: string) => boolean;
  readonly toggle: (key: string) => void;
  readonly togglePage: () => void;
  readonly isPageSelected: boolean;
}

/** A table whose rows are one stop for the tabulator; arrows or j and k go on from there. On a phone each row takes two lines. */
export function Table<Row>(props: TableProps<Row>) {
  const { label, columns, rows, keyOf, selection, onCommand, empty } = props;
  const table = useRef<HTMLTableElement>(null);
  const [current, setCurrent] = useState<string>();
  useLayoutEffect(() => {
    if (!table.current) return;
    followRows(
      table.current,
      (command, key) =>
        onCommand?.(
          command,
          rows.find((row) => keyOf(row) === key),
        ) ?? false,
    );
  });
  const [first] = rows;
  if (first === undefined) return <div class="frame">{empty}</div>;
  const stop = rows.some((row) => keyOf(row) === current) ? current : keyOf(first);
  return (
    <div class="frame">
      <table ref={table} role="table" aria-label={label} data-rows={rows.length}>
        <Head columns={columns} selection={selection} />
        <tbody role="rowgroup">
          {rows.map((row) => (
            <Line key={keyOf(row)} {...props} row={row} isStop={keyOf(row) === stop} onFocus={setCurrent} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Head<Row>({ columns, selection }: Pick<TableProps<Row>, "columns" | "selection">) {
  return (
    <thead role="rowgroup">
      <tr role="row">
        {selection && (
          <th role="columnheader" scope="col" class="pick">
            <input
              type="checkbox"
              aria-label="Select the rows in sight"
              checked={selection.isPageSelected}
              onChange={selection.togglePage}
            />
          </th>
        )}
        {columns.map(({ key, title, isFigure, isTitleAloud }) => (
          <th key={key} role="columnheader" scope="col" class={isFigure ? "end" : undefined}>
            {isTitleAloud ? <span class="aloud">{title}</span> : title}
          </th>
        ))}
      </tr>
    </thead>
  );
}

interface LineProps<Row> extends TableProps<Row> {
  readonly row: Row;
  /** Whether the tabulator stops at this row. */
  readonly isStop: boolean;
  readonly onFocus: (key: string) => void;
}

function Line<Row>({ row, isStop, onFocus, columns, keyOf, href, selection, lookOf }: LineProps<Row>) {
  const key = keyOf(row);
  const tabIndex = isStop ? 0 : -1;
  const classes = [lookOf?.(row), selection?.has(key) && "selected"].filter(Boolean).join(" ");
  return (
    <tr
      role="row"
      data-key={key}
      data-focus={href ? undefined : ""}
      tabIndex={href ? undefined : tabIndex}
      class={classes === "" ? undefined : classes}
      aria-selected={selection ? selection.has(key) : undefined}
      onFocusIn={() => onFocus(key)}
    >
      {selection && (
        <td role="cell" class="pick">
          <input
            type="checkbox"
            tabIndex={-1}
            aria-label={`Select ${key}`}
            checked={selection.has(key)}
            onChange={() => selection.toggle(key)}
          />
        </td>
      )}
      {columns.map((column, index) => (
        <td
          key={column.key}
          role="cell"
          class={column.isFigure ? "end" : undefined}
          data-column={column.key}
          data-title={column.isFigure && !column.isPlain ? column.title : undefined}
          data-narrow={column.narrow ?? (index === 0 ? "top" : "below")}
        >
          {index === 0 && href ? (
            <a class="row-link" data-focus="" tabIndex={tabIndex} href={href(row)}>
              {column.render(row)}
            </a>
          ) : (
            column.render(row)
          )}
        </td>
      ))}
    </tr>
  );
}
