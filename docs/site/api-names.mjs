import { resolve } from "node:path";
import { Converter } from "typedoc";
import { subpaths } from "../../scripts/subpaths.mjs";

const root = resolve(import.meta.dirname, "../..");
const names = new Map(subpaths.map(({ subpath, source }) => [resolve(root, source), `howdah${subpath.slice(1)}`]));

/** A plugin of typedoc: modules are named as they are imported, not after their files. */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) {
      const file = project.files.getReflectionPath?.(module) ?? module.sources?.[0]?.fullFileName;
      module.name = names.get(file) ?? module.name;
    }
  });
}
