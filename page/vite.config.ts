import { defineConfig } from "vite";

/** The page of operators: static files for any path, beside the server that hands them out. */
export default defineConfig({
  root: import.meta.dirname,
  // Its place is known when it is asked for, not when it is built.
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../dist/admin/page",
    emptyOutDir: true,
    manifest: "manifest.json",
    target: "es2022",
    modulePreload: { polyfill: false },
    // A data: address in a style would be a second way in, which the policy of the server need not open.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
});
