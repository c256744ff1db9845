import "./scripts/generate-migrations.mjs";
import { configDefaults, defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const database = {
  globalSetup: ["test/harness/global-setup.ts"],
  testTimeout: 30_000,
  hookTimeout: 60_000,
};

/** 300 MB to install, so only where it is asked for. */
const prisma: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: "prisma",
    include: ["test/transactions/prisma/*.test.ts"],
    ...database,
    globalSetup: ["test/transactions/prisma/global-setup.ts", ...database.globalSetup],
  },
};

/** Frameworks and bundlers, in `check:full` only. */
const stack: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: "stack",
    include: ["test/stack/*.test.ts"],
    ...database,
    globalSetup: ["test/stack/global-setup.ts", ...database.globalSetup],
  },
};

/** graphile-worker itself, on our schema and on its own. */
const compat: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: "compat",
    include: ["test/compat/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "**/fixtures/**", "test/compat/rust/**"],
    ...database,
    globalSetup: ["test/compat/global-setup.ts", ...database.globalSetup],
  },
};

/** graphile_worker_rs, which cargo builds: where it is asked for. */
const rust: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: "compat-rust",
    include: ["test/compat/rust/*.test.ts"],
    ...database,
    globalSetup: ["test/compat/rust/global-setup.ts", ...database.globalSetup],
  },
};

/** A test runner of its own, with 280 packages, so only where it is asked for. */
const jest: TestProjectInlineConfiguration = {
  extends: true,
  test: { name: "jest", include: ["test/jest/*.test.ts"] },
};

/** Two more compilers, so only where they are asked for. */
const compilers: TestProjectInlineConfiguration = {
  extends: true,
  test: { name: "compilers", include: ["test/compilers/*.test.ts"] },
};

/** The packed package in a project of its own, and in other runtimes: both install what they need. */
const newcomer: TestProjectInlineConfiguration = {
  extends: true,
  test: { name: "newcomer", include: ["test/dist/newcomer.test.ts"], ...database },
};
const runtimes: TestProjectInlineConfiguration = {
  extends: true,
  test: { name: "runtimes", include: ["test/dist/runtimes.test.ts"], ...database },
};

/** In a browser, which takes a core of its own: after the other tests, one file at a time. */
const browser: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: "browser",
    include: ["test/browser/*.test.ts"],
    ...database,
    testTimeout: 60_000,
    fileParallelism: false,
  },
};

export default defineConfig({
  test: {
    exclude: [...configDefaults.exclude, "**/fixtures/**"],
    // A test that passes at the second try is broken, so there is none.
    retry: 0,
    // Many files wait for clocks, so two share two cores; alone they would take all of CI's time.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: { name: "unit", include: ["src/**/*.test.ts", "{scripts,test/chaos}/**/*.test.ts"], testTimeout: 30_000 },
      },
      {
        extends: true,
        oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
        test: { name: "page", include: ["page/**/*.test.{ts,tsx}"] },
      },
      {
        extends: true,
        test: { name: "integration", include: ["test/{integration,contract,upgrade}/**/*.test.ts"], ...database },
      },
      {
        extends: true,
        test: {
          name: "transactions",
          include: ["test/transactions/*.test.ts"],
          ...database,
          globalSetup: ["test/transactions/global-setup.ts", ...database.globalSetup],
        },
      },
      ...(process.env["HOWDAH_TEST_PRISMA"] === "1" ? [prisma] : []),
      ...(process.env["HOWDAH_TEST_STACK"] === "1" ? [stack] : []),
      ...(process.env["HOWDAH_TEST_COMPAT"] ? [compat] : []),
      ...(process.env["HOWDAH_TEST_RUST"] === "1" ? [rust] : []),
      ...(process.env["HOWDAH_TEST_JEST"] === "1" ? [jest] : []),
      ...(process.env["HOWDAH_TEST_COMPILERS"] === "1" ? [compilers] : []),
      ...(process.env["HOWDAH_TEST_NEWCOMER"] === "1" ? [newcomer] : []),
      ...(process.env["HOWDAH_TEST_RUNTIMES"] === "1" ? [runtimes] : []),
      ...(process.env["HOWDAH_TEST_BROWSER"] === "1" ? [browser] : []),
      { extends: true, test: { name: "docs", include: ["test/docs/**/*.test.ts"], testTimeout: 60_000 } },
      {
        extends: true,
        test: { name: "dist", include: ["test/dist/{package,page}.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
      },
    ],
  },
});
