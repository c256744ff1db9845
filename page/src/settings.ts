import { effect, type Signal, signal } from "@preact/signals";
import type { Zone } from "./format/times.ts";

/** What a reader chose, kept in their browser. */
export interface Settings {
  readonly theme: Signal<"auto" | "light" | "dark">;
  readonly zone: Signal<Zone>;
  readonly density: Signal<"regular" | "compact">;
  /** Keys of one letter are in the way of some aids: they can be switched off. */
  readonly keys: Signal<"on" | "off">;
}

/** Where choices are kept; that of a browser may be full, or forbidden. */
export type Keep = Pick<Storage, "getItem" | "setItem">;

const CHOICES = {
  theme: ["auto", "light", "dark"],
  zone: ["utc", "local", "relative"],
  density: ["regular", "compact"],
  keys: ["on", "off"],
} as const;

/** Reads what was chosen, and keeps what is chosen from now on. */
export function createSettings(keep: Keep | undefined): Settings {
  return {
    theme: kept(keep, "theme", CHOICES.theme),
    zone: kept(keep, "zone", CHOICES.zone),
    density: kept(keep, "density", CHOICES.density),
    keys: kept(keep, "keys", CHOICES.keys),
  };
}

/** The choice after this one. */
export function nextChoice<N extends keyof typeof CHOICES>(
  name: N,
  now: (typeof CHOICES)[N][number],
): (typeof CHOICES)[N][number] {
  const all: readonly (typeof CHOICES)[N][number][] = CHOICES[name];
  return all[(all.indexOf(now) + 1) % all.length] ?? now;
}

function kept<T extends string>(keep: Keep | undefined, name: string, choices: readonly [T, ...T[]]): Signal<T> {
  const key = `howdah.${name}`;
  const stored = attempt(() => keep?.getItem(key));
  const choice = signal<T>(choices.find((one) => one === stored) ?? choices[0]);
  effect(() => {
    const { value } = choice;
    attempt(() => keep?.setItem(key, value));
  });
  return choice;
}

function attempt<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch {
    return undefined;
  }
}
