import { expect, it } from "vitest";
import { Commands } from "./keyboard/commands.ts";
import { createSettings, type Keep, nextChoice } from "./settings.ts";
import { placeOfPath, PLACES } from "./shell/places.ts";
import { KEY_MAP } from "./keyboard/key-map.ts";

function keepOf(stored: Record<string, string>): Keep {
  return { getItem: (key) => stored[key] ?? null, setItem: (key, value) => void (stored[key] = value) };
}

it("keeps what a reader chose", () => {
  const stored: Record<string, string> = { "howdah.theme": "dark", "howdah.zone": "mars" };
  const settings = createSettings(keepOf(stored));
  expect([settings.theme.value, settings.zone.value]).toEqual(["dark", "utc"]);
  settings.zone.value = "local";
  expect(stored["howdah.zone"]).toBe("local");
});

it("works where the browser keeps nothing", () => {
  const forbidden: Keep = {
    getItem: () => {
      throw new Error("forbidden");
    },
    setItem: () => {
      throw new Error("forbidden");
    },
  };
  const settings = createSettings(forbidden);
  settings.theme.value = "light";
  expect([settings.theme.value, createSettings(undefined).theme.value]).toEqual(["light", "auto"]);
});

it("goes round the choices", () => {
  expect([nextChoice("theme", "auto"), nextChoice("theme", "dark")]).toEqual(["light", "auto"]);
});

it("gives a command to the newest that follows it and to which it applies", () => {
  const commands = new Commands();
  const ran: string[] = [];
  commands.follow("retry", () => void ran.push("old"));
  const end = commands.follow("retry", () => {
    ran.push("new");
    return ran.length < 2;
  });
  expect([commands.run("retry"), ran]).toEqual([true, ["new"]]);
  expect([commands.run("retry"), ran]).toEqual([true, ["new", "new", "old"]]);
  end();
  commands.run("retry");
  expect([ran.at(-1), commands.run("pause")]).toEqual(["old", false]);
});

it("finds the place of an address below any path", () => {
  expect(placeOfPath("/ops/jobs/42", "/ops/")?.title).toBe("Jobs");
  expect(placeOfPath("/ops/", "/ops/")?.title).toBe("Overview");
  expect(placeOfPath("/ops/nonsense", "/ops/")).toBeUndefined();
});

it("has keys for every place", () => {
  const commands = KEY_MAP.map(({ command }) => command);
  expect(PLACES.filter(({ command }) => !commands.includes(command))).toEqual([]);
});
