import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

let project: string;

/** A project with the check of this one, and nothing but one test file. */
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "howdah-check-test-"));
  mkdirSync(join(project, "scripts"));
  for (const script of ["check.mjs", "check-reporter.mjs"]) {
    cpSync(join(ROOT, "scripts", script), join(project, "scripts", script));
  }
  writeFileSync(join(project, "scripts/generate-migrations.mjs"), "");
  cpSync(join(ROOT, ".ci"), join(project, ".ci"), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(project, "node_modules"));
  writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module" }));
});

afterEach(() => {
  rmSync(project, { recursive: true });
});

function writeTests(...bodies: readonly string[]): void {
  const tests = bodies.map((body, index) => `it("case ${index}", () => { ${body} });`);
  writeFileSync(join(project, "some.test.js"), `import { expect, it } from "vitest";\n${tests.join("\n")}\n`);
}

function runCheck(...steps: readonly string[]) {
  // What vitest tells the processes it starts would make this vitest take itself for one of them.
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST"));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["scripts/check.mjs", ...steps.flatMap((step) => ["--only", step])],
    {
      cwd: project,
      env: Object.fromEntries(environment),
      encoding: "utf8",
    },
  );
  return { status, stdout, stderr, lastLine: stdout.trimEnd().split("\n").at(-1) };
}

describe("the check", () => {
  it("fails when a test fails, and says how many did in its last line", () => {
    writeTests("expect(1).toBe(1);", "expect(1).toBe(2);");
    expect(runCheck("test")).toMatchObject({ status: 1, lastLine: "1 passed, 1 failed" });
  });

  it("passes when every test does", () => {
    writeTests("expect(1).toBe(1);", "expect(2).toBe(2);");
    expect(runCheck("test")).toMatchObject({ status: 0, lastLine: "2 passed, 0 failed" });
  });

  it("ends with what failed: tests, hooks, files and errors that no test caught", () => {
    writeTests("expect(1).toBe(1);", "expect(1).toBe(2);", "setTimeout(() => { throw new Error('late') });");
    writeFileSync(
      join(project, "hook.test.js"),
      `import { beforeAll, it } from "vitest";
      beforeAll(() => { throw new Error("no server"); });
      it("needs a server", () => {});`,
    );
    writeFileSync(join(project, "broken.test.js"), `throw new Error("not a test");`);
    const { stdout, lastLine } = runCheck("test");
    const end = stdout.slice(stdout.indexOf("✗ test failed. Run it alone"));
    expect(end).toContain("✗ some.test.js > case 1\n    expected 1 to be 2");
    expect(end).toContain("✗ hook.test.js\n    no server");
    expect(end).toContain("✗ broken.test.js\n    not a test");
    expect(end).toContain("✗ an error that no test caught\n    late");
    expect(lastLine).toBe("2 passed, 4 failed");
  });

  it("fails when there is no test at all", () => {
    expect(runCheck("test")).toMatchObject({ status: 1, lastLine: "No test ran; failed: test" });
  });

  it("runs the tests after a static step that fails, and counts it", () => {
    writeTests("expect(1).toBe(1);");
    writeFileSync(join(project, "unformatted.js"), "let  a");
    const { status, stdout, lastLine } = runCheck("format", "test");
    expect({ status, lastLine }).toEqual({ status: 1, lastLine: "1 passed, 1 failed" });
    expect(stdout).toMatch(/✗ format .*\n✓ test /);
    expect(stdout).toContain("✗ format failed. Run it alone: npm run check -- --only format");
  });

  it("names what failed in its last line when no test ran", () => {
    writeFileSync(join(project, "unformatted.js"), "let  a");
    expect(runCheck("format")).toMatchObject({ status: 1, lastLine: "No test ran; failed: format" });
  });

  it("says in its last line that no test ran although every step passed", () => {
    expect(runCheck("generated")).toMatchObject({ status: 0, lastLine: "No test ran; every step passed" });
  });

  it("refuses a step that it does not have, and names those that it has", () => {
    const { status, stderr, stdout } = runCheck("lnt");
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^Unknown step 'lnt'\nSteps: generated, format, lint, [^\n]+\n$/);
  });

  it("leaves out what needs a build that failed, and says so", () => {
    writeTests("expect(1).toBe(1);");
    const { status, stdout, lastLine } = runCheck("build", "test");
    expect({ status, lastLine }).toEqual({ status: 1, lastLine: "No test ran; failed: build" });
    expect(stdout).toContain("– test is left out, because build did not pass");
  });
});

describe(".ci/run", () => {
  it.each([
    ["installs", "ci", 3],
    ["tests", "test", 4],
  ])("fails with what npm fails with when it %s", (_what, failing, code) => {
    const bin = join(project, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "npm"), `#!/bin/sh\n[ "$1" = ${failing} ] && exit ${code}\nexit 0\n`);
    chmodSync(join(bin, "npm"), 0o755);
    const { status } = spawnSync("bash", [".ci/run"], {
      cwd: project,
      env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}` },
    });
    expect(status).toBe(code);
  });
});
