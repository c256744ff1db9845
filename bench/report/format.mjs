/** Three significant digits, with commas; a dash for what was not measured. */
export function formatFigure(value) {
  if (value === undefined || !Number.isFinite(value)) return "–";
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

/** "8,412 of 200,000 in 30 s" for a cell that was cut off, else its note, else nothing. */
export function formatRemark({ cut, note, error }) {
  if (error) return `failed: ${error}`;
  const parts = [note];
  if (cut) {
    parts.push(`${cut.done.toLocaleString("en")} of ${cut.total.toLocaleString("en")} in ${Math.round(cut.seconds)} s`);
  }
  return parts.filter(Boolean).join("; ");
}

/** A target as a sentence: what it asks for and what was measured. */
export function formatTarget({ of, against, among, figure, least, most, measured, isReached }) {
  const bound = least === undefined ? `≤ ${formatFigure(most)}` : `≥ ${formatFigure(least)}`;
  const asked =
    against === undefined
      ? `${bound} ${figure}`
      : `${bound} × ${against}${among ? `, the best of ${among}` : ""} (${figure})`;
  return `${isReached ? "✓" : "✗"} ${of}: ${asked}; measured ${formatFigure(measured)}${against === undefined ? "" : " ×"}`;
}

/** Whether a side is no usable queue, but what Howdah and others are measured against. */
export function isBare(peer) {
  return peer.startsWith("bare-");
}
