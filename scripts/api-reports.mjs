/**
 * Writes the public API of every subpath to api/NAME.api.md, from the built declarations. With --check it compares
 * instead and fails when a report is missing, stale or left over.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Extractor, ExtractorConfig } from "@microsoft/api-extractor";
import { subpaths } from "./subpaths.mjs";

const check = process.argv.includes("--check");
const root = resolve(import.meta.dirname, "..");
const reportFolder = join(root, "api");
const scratch = mkdtempSync(join(tmpdir(), "howdah-api-"));
let failed = false;

/** Writes or compares the report of one subpath. */
function report({ name, types }) {
  const extractorConfig = ExtractorConfig.prepare({
    configObjectFullPath: join(reportFolder, `${name}.json`),
    packageJsonFullPath: join(root, "package.json"),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(root, types),
      newlineKind: "lf",
      compiler: { tsconfigFilePath: join(root, "tsconfig.build.json") },
      apiReport: {
        enabled: true,
        includeForgottenExports: true,
        reportFileName: `${name}.api.md`,
        reportFolder,
        reportTempFolder: scratch,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        extractorMessageReporting: {
          default: { logLevel: "warning", addToApiReportFile: false },
          // There is one stability level, so no @public on everything.
          "ae-missing-release-tag": { logLevel: "none" },
          // A type that is only named by another needs no export of its own; the report shows it all the same.
          "ae-forgotten-export": { logLevel: "none" },
          // What comments say and link to is typedoc's to judge.
          "ae-undocumented": { logLevel: "none" },
          "ae-unresolved-link": { logLevel: "none" },
        },
        tsdocMessageReporting: { default: { logLevel: "none" } },
      },
    },
  });
  const result = Extractor.invoke(extractorConfig, {
    localBuild: !check,
    messageCallback: (message) => {
      if (message.messageId.startsWith("console-")) message.handled = true;
    },
  });
  if (check && result.apiReportChanged) console.error(`api/${name}.api.md is not what dist/ exports.`);
  if (!result.succeeded) failed = true;
}

try {
  mkdirSync(reportFolder, { recursive: true });
  for (const subpath of subpaths) report(subpath);
  const known = subpaths.map(({ name }) => `${name}.api.md`);
  for (const leftOver of readdirSync(reportFolder).filter((file) => !known.includes(file))) {
    if (!check) rmSync(join(reportFolder, leftOver));
    else console.error(`api/${leftOver} belongs to no subpath.`);
    failed ||= check;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (failed) {
  console.error(check ? "Run `npm run build && npm run api` and review the difference." : "A report was not written.");
  process.exitCode = 1;
}
