import { expect, it } from "vitest";
import { type Command, KEY_MAP, readKey, type Stroke } from "./key-map.ts";

const PLAIN: Omit<Stroke, "key"> = { hasModifier: false, isEditing: false, isOnControl: false };

function press(keys: readonly string[], where: Partial<Stroke> = {}): (Command | undefined)[] {
  let pending: readonly string[] = [];
  return keys.map((key) => {
    const read = readKey(pending, { ...PLAIN, ...where, key });
    pending = read.pending;
    return read.command;
  });
}

it("has one meaning for each key", () => {
  const keys = KEY_MAP.map((binding) => binding.keys.join(" "));
  expect(new Set(keys).size).toBe(keys.length);
});

it("begins no sequence with a key that means something alone", () => {
  const alone = new Set(KEY_MAP.filter(({ keys }) => keys.length === 1).map(({ keys }) => keys[0]));
  expect(KEY_MAP.filter(({ keys }) => keys.length > 1 && alone.has(keys[0]))).toEqual([]);
});

it("finds every command by its keys", () => {
  for (const { keys, command } of KEY_MAP) expect(press(keys).at(-1)).toBe(command);
});

it("knows small letters from large ones", () => {
  expect([...press(["a"]), ...press(["A"]), ...press(["x"]), ...press(["X"])]).toEqual([
    "select-page",
    "select-filter",
    "select",
    "select-range",
  ]);
});

it("takes a wrong second key as a first one", () => {
  expect(press(["g", "x"])).toEqual([undefined, "select"]);
  expect(press(["g", "g", "j"])).toEqual([undefined, undefined, "go-jobs"]);
});

it("leaves keys to fields and to the browser", () => {
  expect(press(["j", "/", "Escape"], { isEditing: true })).toEqual([undefined, undefined, "back"]);
  expect(press(["r", "j"], { hasModifier: true })).toEqual([undefined, undefined]);
  expect(press(["Enter", "j"], { isOnControl: true })).toEqual([undefined, "row-next"]);
});
