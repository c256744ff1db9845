/** A member of a payload, as its schema describes it. */
export interface SchemaField {
  /** `to`, `items[].sku`; `$` for a payload that is no object. */
  readonly path: string;
  /** `text (email)`, `"small" or "large"`. */
  readonly type: string;
  readonly isRequired: boolean;
  /** Its description, and what it is when it is left out. */
  readonly note: string;
}

/** As many as can be read at a glance. */
const MOST = 40;

/** How deep members are told. */
const DEEPEST = 3;

/** The members of a payload by a JSON Schema, in its order; none for a text that is no schema. */
export function schemaFields(text: string): readonly SchemaField[] {
  const schema = readSchema(text);
  if (schema === undefined) return [];
  const root = resolved(schema, schema);
  const fields = fieldsOf(root, { root: schema, path: "", depth: 1 });
  if (fields.length > 0) return fields.slice(0, MOST);
  return [{ path: "$", type: typeInWords(root, schema), isRequired: true, note: noteOf(root) }];
}

/** A payload to begin with: the members that must be there, with values that say what they are. */
export function templateOf(text: string | null): string {
  const schema = text === null ? undefined : readSchema(text);
  if (schema === undefined) return "{}";
  return JSON.stringify(valueOf(schema, schema, 0), null, 2) ?? "{}";
}

type Schema = Readonly<Record<string, unknown>>;

interface Place {
  readonly root: Schema;
  readonly path: string;
  readonly depth: number;
}

function fieldsOf(schema: Schema, { root, path, depth }: Place): SchemaField[] {
  if (isSchema(schema["items"]))
    return fieldsOf(resolved(schema["items"], root), { root, path: `${path}[]`, depth: depth + 1 });
  const required = new Set(Array.isArray(schema["required"]) ? schema["required"] : []);
  return membersOf(schema).flatMap(([name, given]) => {
    const member = resolved(given, root);
    const at = path === "" ? name : `${path}.${name}`;
    const field = { path: at, type: typeInWords(member, root), isRequired: required.has(name), note: noteOf(member) };
    return depth < DEEPEST ? [field, ...fieldsOf(member, { root, path: at, depth: depth + 1 })] : [field];
  });
}

function membersOf({ properties }: Schema): [name: string, schema: Schema][] {
  if (!isSchema(properties)) return [];
  return Object.entries(properties).filter((entry): entry is [string, Schema] => isSchema(entry[1]));
}

/** Follows references within the schema, a few times: they may go round. */
function resolved(schema: Schema, root: Schema): Schema {
  let found = schema;
  for (let steps = 0; steps < 5 && typeof found["$ref"] === "string"; steps += 1) {
    const [place = "", ...names] = found["$ref"].split("/");
    const target =
      place === "#" ? names.reduce<unknown>((at, name) => (isSchema(at) ? at[name] : undefined), root) : {};
    if (!isSchema(target)) break;
    found = target;
  }
  return found;
}

const WORDS: Readonly<Record<string, string>> = {
  string: "text",
  integer: "whole number",
  number: "number",
  boolean: "true or false",
  array: "list",
  object: "object",
  null: "null",
};

function typeInWords(schema: Schema, root: Schema): string {
  if ("const" in schema) return JSON.stringify(schema["const"]);
  if (Array.isArray(schema["enum"])) return schema["enum"].map((value) => JSON.stringify(value)).join(" or ");
  for (const name of ["anyOf", "oneOf"]) {
    const choices = schema[name];
    if (Array.isArray(choices))
      return [...new Set(choices.filter(isSchema).map((one) => typeInWords(resolved(one, root), root)))].join(" or ");
  }
  const types = [schema["type"]].flat().map((type) => WORDS[String(type)] ?? "any JSON");
  const format = typeof schema["format"] === "string" ? ` (${schema["format"]})` : "";
  return `${types.join(" or ")}${format}`;
}

function noteOf(schema: Schema): string {
  const { description, default: usual } = schema;
  return [
    typeof description === "string" ? description : "",
    "default" in schema ? `without it ${JSON.stringify(usual)}` : "",
  ]
    .filter((part) => part !== "")
    .join("; ");
}

/** The default, an example, the first of those that are allowed, or something of the type that is empty. */
function valueOf(given: Schema, root: Schema, depth: number): unknown {
  const schema = resolved(given, root);
  const [choice] = [schema["anyOf"] ?? schema["oneOf"] ?? []].flat();
  if ("default" in schema) return schema["default"];
  if ("const" in schema) return schema["const"];
  for (const name of ["examples", "enum"]) if (Array.isArray(schema[name])) return schema[name][0];
  if (isSchema(choice)) return valueOf(choice, root, depth);
  switch ([schema["type"]].flat()[0]) {
    case "object":
      return objectOf(schema, root, depth);
    case "array":
      return isSchema(schema["items"]) && depth < DEEPEST ? [valueOf(schema["items"], root, depth + 1)] : [];
    case "integer":
    case "number":
      return typeof schema["minimum"] === "number" && schema["minimum"] > 0 ? schema["minimum"] : 0;
    case "boolean":
      return false;
    case "null":
      return null;
    default:
      return "type" in schema ? "" : {};
  }
}

function objectOf(schema: Schema, root: Schema, depth: number): unknown {
  if (depth >= DEEPEST) return {};
  const required: readonly unknown[] = Array.isArray(schema["required"]) ? schema["required"] : [];
  const members = membersOf(schema).filter(([name, member]) => required.includes(name) || "default" in member);
  return Object.fromEntries(members.map(([name, member]) => [name, valueOf(member, root, depth + 1)]));
}

function readSchema(text: string): Schema | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isSchema(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
