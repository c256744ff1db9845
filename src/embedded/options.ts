import { resolve } from "node:path";
import { HowdahError } from "../errors.ts";
import { custom, integer, oneOf } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, readOptions, type OptionPlace } from "../runtime/options.ts";
import { POSTGRES_VERSIONS, type PostgresVersion } from "./binaries.ts";

/** A value of a setting in `postgresql.conf`. */
export type SettingValue = string | number | boolean;

/** Options of {@link startPostgres}; all of them may be left out. */
export interface StartPostgresOptions {
  /**
   * A folder in which the data stays from one start to the next; made when it
   * does not exist. Default: a temporary folder, removed when the server ends.
   */
  readonly dataDir?: string | undefined;
  /** TCP port on 127.0.0.1. Default: a free one, another one at every start. */
  readonly port?: number | undefined;
  /**
   * Major version, one of those installed: under the alias `pg14` … `pg18`, or
   * as the platform package itself. Default: the version of the platform package.
   */
  readonly version?: PostgresVersion | undefined;
  /** Settings as in `postgresql.conf`, by name. Default: PostgreSQL's own, with the time zone UTC. */
  readonly settings?: Readonly<Record<string, SettingValue>> | undefined;
}

/** {@link StartPostgresOptions} after they were checked. */
export interface StartOptions {
  readonly dataDir: string | undefined;
  readonly port: number | undefined;
  readonly version: PostgresVersion | undefined;
  readonly settings: Readonly<Record<string, SettingValue>>;
}

/** Decided by `startPostgres` itself, or not settings at all but directives of the file. */
const RESERVED_SETTINGS = new Set([
  "port",
  "listen_addresses",
  "unix_socket_directories",
  "config_file",
  "data_directory",
  "external_pid_file",
  "hba_file",
  "ident_file",
  "include",
  "include_dir",
  "include_if_exists",
]);

/** Checks the options of `startPostgres`. Throws `HOWDAH_OPTION_UNKNOWN` or `HOWDAH_OPTION_INVALID`. */
export function readStartOptions(given: unknown): StartOptions {
  const options = readOptions("embedded PostgreSQL", given, {
    dataDir: custom(readFolder),
    port: integer({ min: 1, max: 65_535 }),
    version: oneOf(POSTGRES_VERSIONS),
    settings: custom(readSettings),
  });
  return { ...options, settings: options.settings ?? {} };
}

function readFolder(given: unknown, place: OptionPlace): string {
  if (typeof given !== "string" || given === "" || given.includes("\0")) {
    throw invalidOption(place, "must be the path of a folder", given);
  }
  return resolve(given);
}

function readSettings(given: unknown, place: OptionPlace): Record<string, SettingValue> {
  if (!isOptionsObject(given)) throw invalidOption(place, "must be an object", given);
  const settings: Record<string, SettingValue> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) settings[name] = readSetting(name, value, place);
  }
  return settings;
}

function readSetting(name: string, value: unknown, place: OptionPlace): SettingValue {
  if (!/^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$/i.test(name)) {
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `${JSON.stringify(name)} cannot be the name of a PostgreSQL setting.`,
    );
  }
  if (RESERVED_SETTINGS.has(name.toLowerCase())) {
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `The PostgreSQL setting \`${name}\` is not for \`settings\`: the server always listens on 127.0.0.1 only, ` +
        "and its port and folder are the options `port` and `dataDir`.",
    );
  }
  const at = { owner: place.owner, path: `${place.path}.${name}` };
  if (typeof value === "string" && !value.includes("\0")) return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value === "boolean") return value;
  throw invalidOption(at, "must be a text, a number, true or false", value);
}
