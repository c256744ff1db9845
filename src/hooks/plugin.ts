import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { HookHandler, HookHandlers } from "./emitter.ts";
import type { Hooks } from "./hooks.ts";

/** Extends a worker or a client through its hooks alone, such as metrics or tracing. */
export interface Plugin {
  /** Names the plugin in messages. */
  readonly name: string;
  /**
   * Called once and awaited, before the worker or client connects. When it
   * throws, `createWorker` or `createClient` rejects with
   * `HOWDAH_PLUGIN_FAILED`. Handlers may use `hooks.client` and
   * `hooks.metrics()`, from `workerInit` on.
   */
  register(hooks: Hooks): void | Promise<void>;
}

/** The options of a worker or a client that concern hooks. */
export interface HookOptions {
  readonly hooks?: Partial<HookHandlers> | undefined;
  readonly plugins: readonly Plugin[];
}

/**
 * Registers the handlers of the options, then the plugins in the order given.
 * Rejects with `HOWDAH_OPTION_UNKNOWN` or `HOWDAH_OPTION_INVALID` for a handler
 * and with `HOWDAH_PLUGIN_FAILED` for a plugin.
 */
export async function registerHooks(hooks: Hooks, { hooks: handlers = {}, plugins }: HookOptions): Promise<void> {
  for (const [name, handler] of Object.entries(handlers)) {
    // `on` checks both the name and the handler.
    if (handler !== undefined) hooks.on(name as "workerInit", handler as HookHandler<"workerInit">);
  }
  for (const plugin of plugins) await register(plugin, hooks);
}

async function register(plugin: Plugin, hooks: Hooks): Promise<void> {
  try {
    await plugin.register(hooks);
  } catch (error) {
    const message = `Plugin ${describeValue(plugin.name)} could not register its hooks: ${errorMessage(error)}`;
    throw new HowdahError("HOWDAH_PLUGIN_FAILED", message, error);
  }
}
