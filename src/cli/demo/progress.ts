import { Presets, SingleBar } from "cli-progress";
import picocolors from "picocolors";
import { formatCount, formatSeconds } from "../../client/views/amounts.ts";
import type { Clock } from "../../runtime/clock.ts";

/** Shows the progress of a long operation. */
export interface Progress {
  /** An activity of unknown duration. */
  busy(text: string): void;
  /** The number of files that are done, and of all files. */
  update(done: number, total: number): void;
  /** Why there is no progress. */
  note(line: string): void;
  /** Removes the progress bar. */
  stop(): void;
}

type ErrorStream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/** A bar on a terminal; otherwise a line for each tenth, but at most one a second, and one after ten seconds. */
export function createProgress(stream: ErrorStream, clock: Clock): Progress {
  return stream.isTTY ? createBar(stream, clock) : createLines(stream, clock);
}

/** In a narrower terminal the bar is not drawn. */
const ROOM_FOR_TEXT = 56;
const NARROWEST_BAR = 8;
const WIDEST_BAR = 40;

function createBar(stream: ErrorStream, clock: Clock): Progress {
  const barsize = Math.max(0, Math.min(WIDEST_BAR, (stream.columns ?? 80) - ROOM_FOR_TEXT));
  const { cyan, dim } = picocolors;
  const drawn = barsize < NARROWEST_BAR ? "" : `${cyan("{bar}")} `;
  const bar = new SingleBar(
    {
      stream,
      barsize,
      format: `${drawn}{percentage}% ${dim("·")} {value}/{total} files ${dim("·")} {speed}/s ${dim("· {left} left")}`,
      formatValue: (value, _, kind) => (kind === "percentage" ? String(value) : formatCount(value)),
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  let startedAt: number | undefined;
  let stopped = false;
  const eraseLine = "\r\u001B[K";
  return {
    busy: (text) => void stream.write(`${eraseLine}${text.slice(0, (stream.columns ?? 80) - 1)}`),
    update(done, total) {
      // It would be drawn again.
      if (stopped) return;
      if (startedAt === undefined) {
        stream.write(eraseLine);
        startedAt = clock.monotonic();
        bar.start(total, 0, { speed: "0", left: "?" });
      }
      const speed = done / Math.max(0.001, (clock.monotonic() - startedAt) / 1000);
      const left = done === 0 ? "?" : formatSeconds((total - done) / speed);
      bar.update(done, { speed: formatCount(speed), left });
    },
    note() {},
    stop() {
      stopped ||= startedAt !== undefined;
      stream.write(eraseLine);
      bar.stop();
    },
  };
}

const MOST_REST_MS = 10_000;
const LEAST_REST_MS = 1_000;
const LINES = 10;

function createLines(stream: ErrorStream, clock: Clock): Progress {
  let lastAt = clock.monotonic();
  let last = 0;
  return {
    busy(text) {
      if (clock.monotonic() - lastAt < MOST_REST_MS) return;
      lastAt = clock.monotonic();
      stream.write(`${text}\n`);
    },
    update(done, total) {
      const step = Math.floor((done * LINES) / Math.max(1, total));
      const restedMs = clock.monotonic() - lastAt;
      if (done === 0 || restedMs < (step === last ? MOST_REST_MS : LEAST_REST_MS)) return;
      last = step;
      lastAt = clock.monotonic();
      const percent = Math.floor((done * 100) / total);
      stream.write(`${percent}% ${formatCount(done)} of ${formatCount(total, "file")}\n`);
    },
    note: (line) => void stream.write(`${line}\n`),
    stop() {},
  };
}
