import { HowdahError } from "../errors.ts";
import type { Query } from "../postgres/driver.ts";
import type { Duration } from "../runtime/duration.ts";
import { custom, duration, integer, required } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, type OptionPlace, readOptions } from "../runtime/options.ts";

/** What goes wrong with a statement, and with which one. */
export interface StatementFault {
  /**
   * Which statements: those of a kind, or those that a function is true for.
   * `add`, `claim` and `release` are what stores jobs, locks them for a worker,
   * and writes how they ended (a statement that does both of the last two
   * is of both kinds); `commit` is the end of a transaction, and `any` is
   * every statement. Default `any`.
   */
  readonly on?: FaultKind | ((query: Query) => boolean) | undefined;
  /** The first of them that fails, counted from now. Default 1: the next. */
  readonly nth?: number | undefined;
  /** How many of them fail, one after another. Default 1. `Infinity` for all. */
  readonly times?: number | undefined;
  /**
   * What happens. `lost-before`: the connection is lost, and the server never
   * sees the statement. `lost-after`: it is carried out, and the connection is
   * lost before its answer. `slow`: its answer takes `delay`. An `sqlState`: the
   * server refuses it with this.
   */
  readonly happens: "lost-before" | "lost-after" | "slow" | { readonly sqlState: string };
  /** How long a slow answer takes. Default 1s. */
  readonly delay?: Duration | undefined;
}

/** The statements that a {@link StatementFault} can be about. */
export type FaultKind = "any" | "add" | "claim" | "release" | "commit";

/** Where a statement stands: sent by itself, or what ends a transaction. */
export type StatementKind = "statement" | "commit";

/** Reads a fault. Throws `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID`. */
export function faultOf(fault: StatementFault): ArmedFault {
  return new ArmedFault(
    readOptions("fault", fault, {
      on: custom(readKind),
      nth: integer({ min: 1, default: 1 }),
      times: custom(readTimes),
      happens: required(custom(readHappens)),
      delay: duration({ default: "1s" }),
    }),
  );
}

/** A fault that counts the statements that it is about. */
export class ArmedFault {
  readonly happens: StatementFault["happens"];
  readonly delayMs: number;
  readonly #isAbout: (kind: StatementKind, query: Query) => boolean;
  readonly #nth: number;
  readonly #times: number;
  #seen = 0;
  #happened = 0;

  constructor({ on = "any", nth, times = 1, happens, delayMs }: ReadFault) {
    this.#isAbout = typeof on === "function" ? (_kind, query) => on(query) : KINDS[on];
    this.#nth = nth;
    this.#times = times;
    this.happens = happens;
    this.delayMs = delayMs;
  }

  get happened(): number {
    return this.#happened;
  }

  /** Counts a statement, if it is about it. True when it is one that fails. */
  counts(kind: StatementKind, query: Query): boolean {
    if (!this.#isAbout(kind, query)) return false;
    this.#seen += 1;
    return this.#seen >= this.#nth && this.#happened < this.#times;
  }

  /** It is carried out. */
  happen(): void {
    this.#happened += 1;
  }

  /** What the sender of the statement is told. */
  error(): Error {
    const error = this.#error();
    INJECTED.add(error);
    return error;
  }

  #error(): Error {
    if (typeof this.happens !== "object")
      return new HowdahError("HOWDAH_CONNECTION_LOST", `The connection was lost on purpose (${this.happens}).`);
    const { sqlState } = this.happens;
    const error = new Error(`The statement was refused on purpose with SQLSTATE ${sqlState}.`);
    return Object.assign(error, { code: sqlState, severity: "ERROR" });
  }
}

const INJECTED = new WeakSet<Error>();

/** Whether an error comes from a fault, and not from the server. */
export function isInjected(error: unknown): error is Error {
  return error instanceof Error && INJECTED.has(error);
}

interface ReadFault {
  readonly on: NonNullable<StatementFault["on"]> | undefined;
  readonly nth: number;
  readonly times: number | undefined;
  readonly happens: StatementFault["happens"];
  readonly delayMs: number;
}

const ofText = (pattern: RegExp) => (kind: StatementKind, query: Query) =>
  kind === "statement" && pattern.test(query.text);

/** The functions that a statement calls say what it is for. */
const KINDS: Readonly<Record<FaultKind, (kind: StatementKind, query: Query) => boolean>> = {
  any: () => true,
  add: ofText(/"_howdah_add_(?!cron_ticks|schedule_ticks)/),
  claim: ofText(/"_howdah_claim_/),
  release: ofText(/"_howdah_(release|complete)_/),
  commit: (kind) => kind === "commit",
};

function readKind(given: unknown, place: OptionPlace): NonNullable<StatementFault["on"]> {
  if (typeof given === "function") return given as (query: Query) => boolean;
  if (typeof given === "string" && Object.hasOwn(KINDS, given)) return given as FaultKind;
  const names = Object.keys(KINDS).map((name) => JSON.stringify(name));
  throw invalidOption(place, `must be a function or one of ${names.join(", ")}`, given);
}

function readTimes(given: unknown, place: OptionPlace): number {
  if (given === Number.POSITIVE_INFINITY || (Number.isSafeInteger(given) && (given as number) >= 1))
    return given as number;
  throw invalidOption(place, "must be a whole number of 1 or more, or Infinity", given);
}

function readHappens(given: unknown, place: OptionPlace): StatementFault["happens"] {
  if (given === "lost-before" || given === "lost-after" || given === "slow") return given;
  const { sqlState } = isOptionsObject(given) ? (given as { readonly sqlState?: unknown }) : {};
  if (typeof sqlState === "string" && /^[0-9A-Z]{5}$/.test(sqlState)) return { sqlState };
  throw invalidOption(
    place,
    'must be "lost-before", "lost-after", "slow" or an object like `{ sqlState: "40001" }`',
    given,
  );
}
