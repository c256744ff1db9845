/** A small line without axes: how a number came to where it is. Decoration beside the number itself. */
export function Sparkline({ values, state }: { readonly values: readonly number[]; readonly state?: string }) {
  if (values.length < 2) return null;
  const line = sparklinePath(values, WIDTH, HEIGHT);
  return (
    <svg
      class={`sparkline ${state ?? ""}`}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      preserveAspectRatio="none"
      aria-hidden="true"
      focusable="false"
    >
      <path class="area" d={`${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`} />
      <path class="line" d={line} />
    </svg>
  );
}

const WIDTH = 96;
const HEIGHT = 24;

/** The path of values at equal distances, from the smallest to the largest; small changes of a large number stay small. */
export function sparklinePath(values: readonly number[], width: number, height: number): string {
  const most = Math.max(...values);
  const least = Math.min(...values);
  const range = Math.max(most - least, Math.abs(most) * 0.05, 1e-9);
  const points = values.map((value, index) => {
    const x = (index / (values.length - 1)) * width;
    const y = height - 1 - ((value - least) / range) * (height - 2);
    return `${round(x)} ${round(y)}`;
  });
  return `M${points.join("L")}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
