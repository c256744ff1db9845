import { writeFileSync } from "node:fs";

/**
 * A reporter of vitest for the check: writes how many tests passed and failed, and what failed, as JSON to the file
 * that HOWDAH_CHECK_REPORT names. What fails beside a test counts as well: a file that cannot be read, a hook, an error
 * that no test caught.
 */
export default class CheckReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const failures = [
      ...modules.flatMap(failuresOf),
      ...unhandledErrors.map((error) => ({ where: "an error that no test caught", message: firstLine(error) })),
    ];
    const passed = modules.flatMap((module) => [...module.children.allTests("passed")]).length;
    writeFileSync(process.env.HOWDAH_CHECK_REPORT, JSON.stringify({ passed, failures }));
  }
}

function failuresOf(module) {
  const suites = [module, ...module.children.allSuites()];
  const outsideOfTests = suites.flatMap((suite) => suite.errors().map((error) => failureOf(module, suite, error)));
  const tests = [...module.children.allTests("failed")];
  return [...outsideOfTests, ...tests.map((test) => failureOf(module, test, test.result().errors[0]))];
}

function failureOf(module, part, error) {
  return { where: [module.relativeModuleId, part.fullName].filter(Boolean).join(" > "), message: firstLine(error) };
}

/** Enough to recognize the failure; the whole of it stands where the test ran. */
function firstLine(error) {
  return String(error?.message ?? error)
    .split("\n", 1)[0]
    .slice(0, 300);
}
