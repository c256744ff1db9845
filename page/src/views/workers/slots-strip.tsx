import type { WorkerView } from "../../../../src/admin/contract/worker-views.ts";
import { usePage } from "../../page.ts";
import { type SlotLook, slotsOf } from "./worker-life.ts";

const CELL = 10;

/** More cells than this are too small to tell. */
const MOST = 60;

const WORDS: Readonly<Record<SlotLook, string>> = {
  idle: "idle",
  short: "under 1 s",
  second: "1 to 10 s",
  ten: "10 to 60 s",
  minute: "1 to 10 min",
  long: "over 10 min",
};

/** A cell for each slot, filled the higher the longer it has been at work. */
export function SlotsStrip({ worker }: { readonly worker: WorkerView }) {
  const slots = slotsOf(worker, usePage().now.value);
  if (slots.length === 0) return null;
  const shown = slots.slice(0, MOST);
  return (
    <svg
      class="slots"
      role="img"
      aria-label={slotsInWords(slots)}
      viewBox={`0 0 ${shown.length * CELL} 14`}
      width={shown.length * CELL}
      height={14}
    >
      {shown.map((look, index) => (
        <g key={index} class={look}>
          <rect class="cell" x={index * CELL + 0.5} y={0.5} width={CELL - 2} height={13} rx={1.5} />
          <rect class="fill" x={index * CELL + 1} y={13.5 - HEIGHTS[look]} width={CELL - 3} height={HEIGHTS[look]} />
        </g>
      ))}
    </svg>
  );
}

const HEIGHTS: Readonly<Record<SlotLook, number>> = { idle: 0, short: 3, second: 5, ten: 8, minute: 10, long: 12.5 };

/** `6 slots: 2 under 1 s, 1 10 to 60 s, 3 idle` */
export function slotsInWords(slots: readonly SlotLook[]): string {
  const looks: readonly SlotLook[] = ["long", "minute", "ten", "second", "short", "idle"];
  const parts = looks.flatMap((look) => {
    const count = slots.filter((one) => one === look).length;
    return count === 0 ? [] : [`${count} ${look === "idle" ? "idle" : `at work for ${WORDS[look]}`}`];
  });
  return `${slots.length} slots: ${parts.join(", ")}`;
}
