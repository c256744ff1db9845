import type { Hooks } from "./hooks.ts";

/** Something that adds itself to a worker through its hooks alone, such as metrics or tracing. */
export interface Plugin {
  /** Names the plugin in logs. */
  readonly name: string;
  /** Called once, before the worker connects. What it throws, `createWorker` throws. */
  register(hooks: Hooks): void;
}
