import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const css = readFileSync(join(import.meta.dirname, "tokens.css"), "utf8");

type Colour = readonly [lightness: number, chroma: number, hue: number];

const TOKENS = new Map(
  [...css.matchAll(/--([a-z-]+): light-dark\(oklch\(([^)]+)\), oklch\(([^)]+)\)\)/g)].map(([, name, light, dark]) => [
    name ?? "",
    { light: read(light), dark: read(dark) },
  ]),
);

function read(text = ""): Colour {
  const [lightness = 0, chroma = 0, hue = 0] = text.split(" ").map(Number);
  return [lightness, chroma, hue];
}

/** The luminance of a colour of OKLCH, as contrasts are measured by. */
function luminance([lightness, chroma, hue]: Colour): number {
  const angle = (hue * Math.PI) / 180;
  const [a, b] = [chroma * Math.cos(angle), chroma * Math.sin(angle)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const red = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
  const green = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
  const blue = -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s;
  const [r = 0, g = 0, w = 0] = [red, green, blue].map((one) => Math.min(1, Math.max(0, one)));
  return 0.2126 * r + 0.7152 * g + 0.0722 * w;
}

function contrast(one: string, other: string, theme: "light" | "dark"): number {
  const [a = 0, b = 0] = [one, other].map((name) => luminance(TOKENS.get(name)?.[theme] ?? [0, 0, 0]));
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

const GROUNDS = ["ground", "surface", "raised", "hover", "chosen"];
const TEXTS = ["ink", "quiet", "accent", "scheduled", "ready", "running", "failed", "paused", "good"];

describe.each(["light", "dark"] as const)("in the %s theme", (theme) => {
  it("has texts that can be read on every ground", () => {
    const pairs = TEXTS.flatMap((text) => GROUNDS.map((ground) => [text, ground] as const));
    const weak = pairs.filter(([text, ground]) => contrast(text, ground, theme) < 4.5);
    expect(weak.map(([text, ground]) => `${text} on ${ground}: ${contrast(text, ground, theme).toFixed(2)}`)).toEqual(
      [],
    );
  });

  it("has texts that can be read on the grounds of notices and buttons", () => {
    const pairs = [
      ["failed", "failed-ground"],
      ["ink", "failed-ground"],
      ["quiet", "failed-ground"],
      ["paused", "paused-ground"],
      ["ink", "paused-ground"],
      ["good", "good-ground"],
      ["on-accent", "accent"],
      ["on-accent", "failed"],
      ["ground", "ink"],
    ] as const;
    const weak = pairs.filter(([text, ground]) => contrast(text, ground, theme) < 4.5);
    expect(weak.map(([text, ground]) => `${text} on ${ground}: ${contrast(text, ground, theme).toFixed(2)}`)).toEqual(
      [],
    );
  });

  it("has edges of controls that can be seen", () => {
    const weak = GROUNDS.slice(0, 3).filter((ground) => contrast("edge", ground, theme) < 3);
    expect(weak.map((ground) => `edge on ${ground}: ${contrast("edge", ground, theme).toFixed(2)}`)).toEqual([]);
  });
});

it("uses no colour that is not a token", () => {
  for (const file of ["base.css", "shell.css", "parts.css", "views.css"]) {
    const text = readFileSync(join(import.meta.dirname, file), "utf8").replaceAll(/\/\*.*?\*\//gs, "");
    // The dark behind a dialog is the same in both themes.
    const found = [...text.matchAll(/#[0-9a-f]{3,8}\b|rgba?\([^)]*\)|hsl\([^)]*\)|oklch\([^)]*\)/gi)].map(
      ([colour]) => colour,
    );
    expect({ file, found: found.filter((colour) => !colour.includes("/ 0.5")) }).toEqual({ file, found: [] });
    const used = [...text.matchAll(/var\(--([a-z-]+)\)/g)].map(([, name]) => name ?? "");
    expect({ file, unknown: used.filter((name) => !css.includes(`--${name}:`)) }).toEqual({ file, unknown: [] });
  }
});
