const CHARACTER = 8.4;
const LINE = 20;
const MARGIN = 16;
const TITLE = 36;

const COLORS = {
  "": "#e6edf3",
  bold: "#ffffff",
  dim: "#9aa7b4",
  red: "#ff7b72",
  green: "#56d364",
  yellow: "#e3b341",
  cyan: "#39c5cf",
};

/**
 * Draws frames of a terminal, `{ at, lines }`, as a picture that moves: each line is drawn once for the time that it
 * is there. Where pictures do not move, and for readers who asked for less motion, it shows the last frame.
 */
export function animate(frames, { columns, command }) {
  const seconds = frames.at(-1).at;
  const rows = Math.max(...frames.map(({ lines }) => lines.length)) + 2;
  const width = Math.round(columns * CHARACTER + 2 * MARGIN);
  const height = TITLE + rows * LINE + MARGIN;
  const spans = spansOf(frames);
  const times = [...new Set(spans.filter((span) => !isWhole(span, seconds)).map((span) => timesOf(span, seconds)))];
  const prompt = [
    { text: "$ ", style: "dim" },
    { text: command, style: "bold" },
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14">`,
    `<title>${escape(command)}</title>`,
    `<style>${styleOf(times, seconds)}</style>`,
    `<rect width="${width}" height="${height}" rx="10" fill="#0d1117"/>`,
    ...["#ff5f56", "#ffbd2e", "#27c93f"].map(
      (color, n) => `<circle cx="${20 + n * 20}" cy="18" r="6" fill="${color}"/>`,
    ),
    textOf(prompt, 0),
    ...spans.map((span) => drawn(span, { seconds, times })),
    "</svg>\n",
  ].join("\n");
}

/** Which line is where from when to when: `{ row, line, from, to }`. */
function spansOf(frames) {
  const spans = [];
  const open = new Map();
  for (const { at, lines } of frames) {
    for (let row = 0; row < Math.max(lines.length, open.size); row++) {
      const line = lines[row] ?? [];
      const key = JSON.stringify(line);
      const current = open.get(row);
      if (current?.key === key) continue;
      if (current) current.to = at;
      const span = { row, line, key, from: at, to: Infinity };
      open.set(row, span);
      if (line.some(({ text }) => text.trim() !== "")) spans.push(span);
    }
  }
  return spans;
}

const isWhole = ({ from, to }, seconds) => from <= 0 && to >= seconds;

/** From when to when, in percent of the whole. */
const timesOf = ({ from, to }, seconds) => `${percent(from, seconds)} ${percent(Math.min(to, seconds), seconds)}`;

const percent = (at, seconds) => ((100 * at) / seconds).toFixed(2);

function styleOf(times, seconds) {
  const rules = times.map((time, index) => {
    const [from, to] = time.split(" ").map(Number);
    const end = to >= 100 ? "100%{visibility:visible}" : `${to}%,100%{visibility:hidden}`;
    return `.t${index}{animation:t${index} ${seconds.toFixed(2)}s step-end infinite}@keyframes t${index}{0%{visibility:hidden}${from}%{visibility:visible}${end}}`;
  });
  return [
    "text{white-space:pre}",
    ...Object.entries(COLORS).map(([name, color]) => `.${name || "plain"}{fill:${color}}`),
    ".bold{font-weight:bold}.gone{visibility:hidden}",
    ...rules,
    "@media (prefers-reduced-motion:reduce){text{animation:none!important}}",
  ].join("");
}

function drawn(span, { seconds, times }) {
  const isLast = span.to >= seconds;
  const index = times.indexOf(timesOf(span, seconds));
  const classes = [index >= 0 ? `t${index}` : "", isLast ? "" : "gone"].filter((name) => name !== "").join(" ");
  return textOf(span.line, span.row + 2, classes);
}

function textOf(line, row, classes = "") {
  const y = TITLE + row * LINE + 14;
  const runs = line.map(({ text, style }) => `<tspan class="${style || "plain"}">${escape(text)}</tspan>`).join("");
  return `<text x="${MARGIN}" y="${y}"${classes ? ` class="${classes}"` : ""} xml:space="preserve">${runs}</text>`;
}

function escape(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
