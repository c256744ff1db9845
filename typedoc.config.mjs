import { subpaths } from "./scripts/subpaths.mjs";

/** typedoc only checks here: every export has a sentence, and what comments link to exists. */
export default {
  entryPoints: subpaths.map(({ source }) => source),
  tsconfig: "tsconfig.build.json",
  emit: "none",
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  treatWarningsAsErrors: true,
  validation: { notExported: false, invalidLink: true, notDocumented: true },
  requiredToBeDocumented: ["Class", "Function", "Interface", "TypeAlias", "Variable"],
  skipErrorChecking: true,
};
