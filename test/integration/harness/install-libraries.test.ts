import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { installLibraries } from "../../harness/install-libraries.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

it("a step whose libraries cannot be installed says so, with what npm said", async () => {
  const folder = await mkdtemp(join(tmpdir(), "howdah-no-registry-"));
  const manifest = { name: "step", version: "1.0.0", dependencies: { pg: "8.23.1" } };
  const locked = {
    "": manifest,
    "node_modules/pg": { version: "8.23.1", integrity: "sha512-" + "A".repeat(86) + "==" },
  };
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
  await writeFile(
    join(folder, "package-lock.json"),
    JSON.stringify({ ...manifest, lockfileVersion: 3, packages: locked }),
  );
  // No server listens on this port, and nothing was downloaded before.
  vi.stubEnv("npm_config_registry", "http://127.0.0.1:1/");
  vi.stubEnv("npm_config_cache", join(folder, "cache"));
  vi.stubEnv("npm_config_fetch_retries", "0");
  await expect(installLibraries(folder)).rejects.toThrow(
    /^Could not install the libraries of .*howdah-no-registry-\w+, which come from the registry of npm\..*ECONNREFUSED/s,
  );
  await rm(folder, { recursive: true });
});
