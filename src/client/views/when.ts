const UNITS = [
  { name: "d", ms: 86_400_000 },
  { name: "h", ms: 3_600_000 },
  { name: "min", ms: 60_000 },
  { name: "s", ms: 1_000 },
];

/** How far `time` is from now, in one unit: "in 5 min", "3 d ago", "now". */
export function describeWhen(time: Date, nowMs: number): string {
  const distance = Math.abs(time.getTime() - nowMs);
  const unit = UNITS.find(({ ms }) => distance >= ms);
  if (!unit) return "now";
  const amount = `${Math.floor(distance / unit.ms)} ${unit.name}`;
  return time.getTime() > nowMs ? `in ${amount}` : `${amount} ago`;
}
