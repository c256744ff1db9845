import { describe, expect, it } from "vitest";
import { silentLogger } from "../runtime/logger.ts";
import { createHooks } from "./hooks.ts";
import { type Plugin, registerHooks } from "./plugin.ts";

const start = { workerId: "w" };

describe("registering hooks", () => {
  it("takes the handlers first and then the plugins in order, waiting for each", async () => {
    const hooks = createHooks({ logger: silentLogger });
    const calls: string[] = [];
    const plugin = (name: string): Plugin => ({
      name,
      async register(given) {
        await Promise.resolve();
        given.on("workerStart", () => void calls.push(name));
      },
    });
    const handlers = { workerStart: () => void calls.push("option"), workerShutdown: undefined };
    await registerHooks(hooks, { hooks: handlers, plugins: [plugin("a"), plugin("b")] });
    hooks.emit("workerStart", start);
    expect(calls).toEqual(["option", "a", "b"]);
    expect(hooks.has("workerShutdown")).toBe(false);
  });

  it.each([
    ["throws", () => expect.unreachable()],
    ["rejects", () => Promise.reject(new Error("no port"))],
  ])("names a plugin that %s", async (_, register) => {
    const hooks = createHooks({ logger: silentLogger });
    await expect(registerHooks(hooks, { plugins: [{ name: "metrics", register }] })).rejects.toMatchObject({
      code: "HOWDAH_PLUGIN_FAILED",
      message: expect.stringMatching(/^Plugin "metrics" could not register its hooks: /),
      cause: expect.any(Error),
    });
  });

  it("refuses a handler that is none", async () => {
    const hooks = createHooks({ logger: silentLogger });
    const refused = registerHooks(hooks, { hooks: { jobStart: "x" as never }, plugins: [] });
    await expect(refused).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
  });
});
