import "./scripts/generate-migrations.mjs";
import { configDefaults, defineConfig } from "vitest/config";

const database = {
  globalSetup: ["test/harness/global-setup.ts"],
  testTimeout: 30_000,
  hookTimeout: 60_000,
};

export default defineConfig({
  test: {
    exclude: [...configDefaults.exclude, "**/fixtures/**"],
    // A test that passes at the second try is broken, so there is none.
    retry: 0,
    projects: [
      {
        extends: true,
        test: { name: "unit", include: ["src/**/*.test.ts", "{scripts,test/chaos}/**/*.test.ts"], testTimeout: 30_000 },
      },
      {
        extends: true,
        test: { name: "integration", include: ["test/{integration,contract,upgrade}/**/*.test.ts"], ...database },
      },
      { extends: true, test: { name: "docs", include: ["test/docs/**/*.test.ts"], testTimeout: 60_000 } },
      {
        extends: true,
        test: { name: "dist", include: ["test/dist/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
      },
    ],
  },
});
