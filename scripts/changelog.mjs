const OPEN = "## [Unreleased]";

/**
 * Gives what stands under `[Unreleased]` the heading of a release, and leaves an empty `[Unreleased]` above it. Says
 * what is in the way of that otherwise.
 *
 * @type {(text: string, release: { version: string, date: string }) => { text: string, problems: string[] }}
 */
export function dateChangelog(text, { version, date }) {
  if (text.includes(`\n## [${version}]`))
    return { text, problems: [`CHANGELOG.md has a section for ${version} already.`] };
  const [before = "", after] = text.split(`${OPEN}\n`);
  if (after === undefined) return { text, problems: [`CHANGELOG.md has no section ${OPEN}.`] };
  const changes = after.split("\n## ")[0]?.trim();
  if (!changes) return { text, problems: [`CHANGELOG.md says nothing under ${OPEN}.`] };
  return { text: `${before}${OPEN}\n\n## [${version}] - ${date}\n${after}`, problems: [] };
}
