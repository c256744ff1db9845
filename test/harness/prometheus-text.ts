/** One line of a scrape: `name{label="value"} 1`. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A scrape, as a server of Prometheus reads it. */
export interface Scrape {
  readonly samples: readonly Sample[];
  /** The names of `# TYPE` lines with their types. */
  readonly types: ReadonlyMap<string, string>;
  /** The value with exactly these labels; `undefined` for none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** The values of a name by one of its labels. */
  by(name: string, label: string): Record<string, number>;
}

/**
 * Reads the text format of Prometheus, 0.0.4, as strictly as its server does:
 * throws for a line that it does not know, for samples without a type or apart
 * from their type, for one that is there twice, and for buckets that are not
 * cumulative, or do not end with all.
 */
export function parsePrometheusText(text: string): Scrape {
  if (!text.endsWith("\n")) throw new Error("The last line has no end.");
  const types = new Map<string, string>();
  const helps = new Set<string>();
  const samples: Sample[] = [];
  let family = "";
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, help] = /^# HELP (\S+) \S/.exec(line) ?? [];
    const [, typed, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (help !== undefined) {
      if (helps.has(help)) throw new Error(`Two helps: ${line}`);
      helps.add(help);
    } else if (typed !== undefined && type !== undefined) {
      if (types.has(typed)) throw new Error(`Two types: ${line}`);
      types.set(typed, type);
      family = typed;
    } else samples.push(readSample(line, family, types.get(family) ?? ""));
  }
  const keys = samples.map((sample) => keyOf(sample.name, sample.labels));
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw new Error(`There twice: ${twice}`);
  checkBuckets(samples);
  return {
    samples,
    types,
    value: (name, labels = {}) => samples[keys.indexOf(keyOf(name, labels))]?.value,
    by(name, label) {
      const found = samples.filter((sample) => sample.name === name);
      return Object.fromEntries(found.map((sample) => [sample.labels[label] ?? "", sample.value]));
    },
  };
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?)|\+Inf|NaN)$/i;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)/;

function readSample(line: string, family: string, type: string): Sample {
  const [, name = "", given = "", value = ""] = SAMPLE.exec(line) ?? [];
  const suffixes = type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
  if (!suffixes.some((suffix) => name === family + suffix)) throw new Error(`Not of ${family || "any type"}: ${line}`);
  const labels: Record<string, string> = {};
  for (let rest = given; rest !== "";) {
    const [whole = "", label = "", escaped = ""] = LABEL.exec(rest) ?? [];
    if (whole === "" || label in labels) throw new Error(`Labels that cannot be read: ${line}`);
    labels[label] = escaped.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
    rest = rest.slice(whole.length);
  }
  return { name, labels, value: value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value) };
}

function checkBuckets(samples: readonly Sample[]): void {
  const last = new Map<string, number>();
  for (const { name, labels, value } of samples) {
    if (name.endsWith("_bucket")) {
      const { le = "", ...own } = labels;
      const key = keyOf(name.slice(0, -"_bucket".length), own);
      if (value < (last.get(key) ?? 0)) throw new Error(`Not cumulative: ${name} ${le}`);
      last.set(key, value);
    }
    if (!name.endsWith("_count")) continue;
    const key = keyOf(name.slice(0, -"_count".length), labels);
    if (last.get(key) !== value) throw new Error(`The buckets do not end with all: ${name}`);
  }
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1))]);
}
