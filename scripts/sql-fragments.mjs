/**
 * Named pieces of SQL. A fragment is defined in a file of its own kind:
 *
 *   -- May this worker claim the job?
 *   create fragment claimable(job, tasks) as $$
 *   :{job}.locked_at is null and :{job}.task_id = any (:{tasks})
 *   $$;
 *
 * and written as `:{claimable(jobs, tasks)}` in migrations and in other fragments. Its text takes the place of that,
 * before anything is sent to PostgreSQL. docs/internals/sql.md has the rules.
 *
 * @typedef {{ file: string, text: string }} SqlFile
 * @typedef {{ name: string, parameters: string[], body: string, file: string }} Fragment
 */

const DEFINITION = /((?:^--[^\n]*\n)*)^create fragment ([a-z][a-z_]*)\(([a-z_, ]*)\) as \$\$\n([\s\S]*?)\n\$\$;$/gm;

/**
 * The fragments of these files, by name.
 *
 * @type {(files: readonly SqlFile[]) => Map<string, Fragment>}
 */
export function readFragments(files) {
  /** @type {Map<string, Fragment>} */
  const fragments = new Map();
  for (const { file, text } of files) {
    for (const [, comment = "", name = "", list = "", body = ""] of text.matchAll(DEFINITION)) {
      const other = fragments.get(name);
      if (other) throw new Error(`${file}: fragment ${name} is also in ${other.file}`);
      if (!/^[^.?]*\?/.test(comment.replaceAll(/^-- ?/gm, " "))) {
        throw new Error(`${file}: the comment on fragment ${name} begins with the question that it answers`);
      }
      const parameters = splitArguments(list);
      const idle = parameters.find((parameter) => !body.includes(`:{${parameter}}`));
      if (idle) throw new Error(`${file}: fragment ${name} never uses ${idle}`);
      fragments.set(name, { name, parameters, body, file });
    }
    const rest = text.replaceAll(DEFINITION, "");
    const stray = rest.split("\n").find((line) => line.trim() !== "" && !line.startsWith("--"));
    if (stray !== undefined) throw new Error(`${file}: this belongs to no fragment: ${stray.trim()}`);
  }
  return fragments;
}

/**
 * The texts of these files with every fragment in its place. Each fragment has to be used.
 *
 * @type {(files: readonly SqlFile[], fragments: ReadonlyMap<string, Fragment>) => string[]}
 */
export function expandFragments(files, fragments) {
  /** @type {Set<string>} */
  const used = new Set();
  const expanded = files.map(({ file, text }) =>
    expand(text, { file, fragments, used, within: [], values: new Map() }),
  );
  for (const { name, file } of fragments.values()) {
    if (!used.has(name)) throw new Error(`${file}: nothing uses fragment ${name}`);
  }
  return expanded;
}

/**
 * @typedef {{
 *   file: string, fragments: ReadonlyMap<string, Fragment>, used: Set<string>, within: readonly string[],
 *   values: ReadonlyMap<string, string>
 * }} Place
 * @type {(text: string, place: Place) => string}
 */
function expand(text, place) {
  let expanded = "";
  let at = 0;
  for (let start = text.indexOf(":{"); start >= 0; start = text.indexOf(":{", at)) {
    const end = closingBrace(text, start + 1);
    if (end < 0) throw new Error(`${whereabouts(text, start, place)}: :{ is never closed`);
    const line = text.slice(text.lastIndexOf("\n", start) + 1, start);
    const use = text.slice(start + 2, end);
    const value = expandUse(use, place, () => whereabouts(text, start, place));
    expanded += text.slice(at, start) + value.replaceAll(/\n(?=[^\n])/g, `\n${/^ */.exec(line)?.[0]}`);
    at = end + 1;
  }
  return expanded + text.slice(at);
}

/** @type {(use: string, place: Place, where: () => string) => string} */
function expandUse(use, place, where) {
  const [, name = "", list] = /^\s*([a-z][a-z_]*)\s*(?:\(([\s\S]*)\))?\s*$/.exec(use) ?? [];
  if (list === undefined) {
    const value = place.values.get(name);
    if (value === undefined) throw new Error(`${where()}: ${use} is no parameter here, and fragments have parentheses`);
    return value;
  }
  const fragment = place.fragments.get(name);
  if (!fragment) throw new Error(`${where()}: there is no fragment ${name || use}`);
  const { parameters, body, file } = fragment;
  const values = splitArguments(list).map((value) => expand(value, place));
  if (values.length !== parameters.length) {
    throw new Error(`${where()}: fragment ${name} is given ${values.length} arguments and takes ${parameters.length}`);
  }
  const within = [...place.within, name];
  if (place.within.includes(name)) throw new Error(`${where()}: fragments use each other: ${within.join(" > ")}`);
  place.used.add(name);
  const given = new Map(parameters.map((parameter, index) => [parameter, values[index] ?? ""]));
  return expand(body, { ...place, file, within, values: given });
}

/** The place of the brace that closes the one at `start`; -1 for none. */
function closingBrace(text, start) {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === "{") depth += 1;
    if (text[at] === "}") depth -= 1;
    if (depth === 0) return at;
  }
  return -1;
}

/** The items of a list, at whose commas nothing is open; each on one line. */
function splitArguments(list) {
  const items = [""];
  let depth = 0;
  for (const char of list) {
    if ("([{".includes(char)) depth += 1;
    if (")]}".includes(char)) depth -= 1;
    if (char === "," && depth === 0) items.push("");
    else items[items.length - 1] += char;
  }
  const trimmed = items.map((item) => item.trim().replaceAll(/\s+/g, " "));
  return trimmed.length === 1 && trimmed[0] === "" ? [] : trimmed;
}

/** @type {(text: string, at: number, place: Place) => string} */
function whereabouts(text, at, { file, within }) {
  const fragment = within.at(-1);
  return `${file}${fragment ? `, fragment ${fragment}` : ""}, line ${text.slice(0, at).split("\n").length}`;
}
