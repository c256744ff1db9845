/** A terminal of the few escape sequences that the command line writes: colours, columns, erasing. */
export class Terminal {
  /** Rows of cells, `{ character, style }`. */
  #rows = [[]];
  #row = 0;
  #column = 0;
  #style = "";

  write(text) {
    // eslint-disable-next-line no-control-regex
    for (const [token] of text.matchAll(/\u001B\[[?0-9;]*[A-Za-z]|\u001B[78]|\r|\n|[^\u001B\r\n]/gu)) this.#take(token);
  }

  /** What it shows: for each row its runs of one style, `{ text, style }`. */
  lines() {
    return this.#rows.map((row) => {
      const runs = [];
      for (const { character, style } of row) {
        if (runs.at(-1)?.style === style) runs.at(-1).text += character;
        else runs.push({ text: character, style });
      }
      return runs;
    });
  }

  #take(token) {
    if (token === "\r") this.#column = 0;
    else if (token === "\n") this.#nextRow();
    else if (token.startsWith("\u001B[")) this.#control(token.slice(2, -1), token.at(-1));
    else if (!token.startsWith("\u001B")) this.#put(token);
  }

  #put(character) {
    const row = this.#rows[this.#row];
    while (row.length < this.#column) row.push({ character: " ", style: "" });
    row[this.#column] = { character, style: this.#style };
    this.#column += 1;
  }

  #nextRow() {
    this.#row += 1;
    this.#rows[this.#row] ??= [];
  }

  #control(parameters, letter) {
    const first = Number.parseInt(parameters, 10) || 0;
    const row = this.#rows[this.#row];
    if (letter === "K") this.#rows[this.#row] = first === 0 ? row.slice(0, this.#column) : [];
    else if (letter === "G") this.#column = Math.max(0, first - 1);
    else if (letter === "A") this.#row = Math.max(0, this.#row - Math.max(1, first));
    else if (letter === "J") this.#rows.length = this.#row + 1;
    else if (letter === "m") this.#style = STYLES[first] ?? "";
  }
}

/** The styles that picocolors writes; the others are drawn plainly. */
const STYLES = { 1: "bold", 2: "dim", 31: "red", 32: "green", 33: "yellow", 36: "cyan" };
