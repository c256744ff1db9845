import { join, resolve } from "node:path";
import { subpaths } from "../../scripts/subpaths.mjs";

const root = resolve(import.meta.dirname, "../..");
const ours = (name) => join(import.meta.dirname, "node_modules", name, "dist/index.js");

/** Markdown for the site; what comments must say is checked by the step `comments`. */
export default {
  name: "API",
  entryPoints: subpaths.map(({ source }) => join(root, source)),
  tsconfig: join(root, "tsconfig.build.json"),
  plugin: [
    ours("typedoc-plugin-markdown"),
    ours("typedoc-vitepress-theme"),
    join(import.meta.dirname, "api-names.mjs"),
  ],
  docsRoot: join(root, ".cache/site/pages"),
  readme: "none",
  router: "member",
  entryFileName: "index.md",
  hidePageHeader: true,
  hideBreadcrumbs: true,
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  skipErrorChecking: true,
  validation: { notExported: false, invalidLink: true, notDocumented: false },
  logLevel: "Warn",
  parametersFormat: "table",
  interfacePropertiesFormat: "list",
  sidebar: { autoConfiguration: true, format: "vitepress", pretty: true, collapsed: true },
};
