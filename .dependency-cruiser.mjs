/**
 * The layers of ARCHITECTURE.md. Paths are regular expressions; `dependencyTypesNot: ["type-only"]` lets a rule
 * pass over `import type`, which leaves no trace at run time.
 */
const TYPE_ONLY = ["type-only"];
const NOUNS = "^src/job/[^/]+\\.ts$";

/** Everything of ours in `from` may import only what `allowed` matches. */
function only(name, comment, { from, allowed, ...rest }) {
  return { name, comment, severity: "error", from: { path: from }, to: { path: "^src/", pathNot: allowed, ...rest } };
}

/** Nothing outside of `folder` may import from it, but for `except`. */
function closed(folder, comment, except = []) {
  const from = { pathNot: [`^src/${folder}/`, ...except] };
  return { name: `${folder}-is-on-top`, comment, severity: "error", from, to: { path: `^src/${folder}/` } };
}

export default {
  forbidden: [
    {
      name: "no-circles",
      comment: "Modules that import each other cannot be read one at a time.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    only("errors-stand-alone", "errors imports nothing of ours.", { from: "^src/errors\\.ts$", allowed: "^$" }),
    only("runtime-knows-no-jobs", "runtime knows nothing of jobs or PostgreSQL.", {
      from: "^src/runtime/",
      allowed: "^src/(runtime/|errors\\.ts$)",
    }),
    only("postgres-knows-no-jobs", "postgres runs statements; what a job is, it may know as a type only.", {
      from: "^src/postgres/",
      allowed: "^src/(postgres/|runtime/|errors\\.ts$)",
      dependencyTypesNot: TYPE_ONLY,
    }),
    only("hooks-know-types-only", "hooks carry events; what a job is, they may know as a type only.", {
      from: "^src/hooks/",
      allowed: "^src/(hooks/|runtime/|errors\\.ts$)",
      dependencyTypesNot: TYPE_ONLY,
    }),
    only("job-does-not-look-up", "The life of a job stands on runtime, postgres and hooks.", {
      from: "^src/job/",
      // A handler is given a client: a type, with nothing behind it here.
      allowed: "^src/(job/|postgres/|hooks/|runtime/|errors\\.ts$|client/client\\.ts$)",
    }),
    only("nouns-import-no-verbs", "A noun of src/job may name a verb's types, never call it.", {
      from: NOUNS,
      allowed: [NOUNS, "^src/(postgres/|hooks/|runtime/|errors\\.ts$)"],
      dependencyTypesNot: TYPE_ONLY,
    }),
    {
      name: "verbs-are-strangers",
      comment: "A verb of src/job never imports another verb: they meet in src/worker.",
      severity: "error",
      from: { path: "^src/job/([^/]+)/" },
      to: { path: "^src/job/[^/]+/", pathNot: "^src/job/$1/" },
    },
    only("cron-only-adds", "cron is a clock that adds jobs.", {
      from: "^src/cron/",
      allowed: ["^src/(cron|job/add|postgres|hooks|runtime)/", NOUNS, "^src/errors\\.ts$"],
    }),
    only("client-only-adds", "client uses no verb but job/add, and the arithmetic of cron.", {
      from: "^src/client/",
      allowed: ["^src/(client|cron|job/add|postgres|hooks|runtime)/", NOUNS, "^src/errors\\.ts$"],
    }),
    only("observe-sees-hooks-only", "observe is plugins over hooks.", {
      from: "^src/observe/",
      allowed: "^src/(observe|hooks|runtime)/",
      dependencyTypesNot: TYPE_ONLY,
    }),
    only("admin-asks-the-client", "admin goes through client.", {
      from: "^src/admin/",
      allowed: "^src/(admin/|client/|runtime/|errors\\.ts$)",
      dependencyTypesNot: TYPE_ONLY,
    }),
    only("embedded-runs-postgres", "embedded starts a server and knows nothing of jobs.", {
      from: "^src/embedded/",
      allowed: "^src/(embedded/|runtime/|errors\\.ts$)",
    }),
    only("demo-is-an-example", "The demo uses what the package exports, as an application would.", {
      from: "^src/cli/demo/application/",
      allowed: "^src/(cli/demo/application/|index\\.ts$|postgres/drivers/pg\\.ts$)",
    }),
    closed("worker", "Only the entries wire a worker.", ["^src/index\\.ts$", "^src/(cli|testing)/"]),
    closed("embedded", "An application that brings its own PostgreSQL never loads it.", ["^src/(cli|testing)/"]),
    closed("admin", "The API of the page is for servers; only the command line has one.", ["^src/cli/"]),
    closed("testing", "Production code has no knobs for tests."),
    closed("cli", "No other folder imports the command line."),
    {
      name: "pg-in-its-driver",
      comment: "The client library sits behind the driver contract.",
      severity: "error",
      from: { pathNot: "^src/postgres/drivers/" },
      to: { path: "node_modules/(pg|pg-[^/]+|postgres|@electric-sql/pglite)/" },
    },
    {
      name: "opentelemetry-in-its-plugin",
      comment: "An application without tracing has no such package.",
      severity: "error",
      from: { pathNot: "^src/observe/" },
      to: { path: "node_modules/@opentelemetry/" },
    },
    {
      name: "prometheus-in-its-plugin",
      comment: "An application without metrics has no such package.",
      severity: "error",
      from: { pathNot: "^src/observe/prometheus\\.ts$" },
      to: { path: "node_modules/prom-client/" },
    },
    {
      name: "no-development-packages",
      comment: "An installed package has only its own dependencies; a type must not need another one either.",
      severity: "error",
      from: {},
      to: {
        dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"],
        dependencyTypesNot: TYPE_ONLY,
        // Optional peers, which the tests need as well.
        pathNot: "node_modules/(@opentelemetry/api|jiti|postgres|prom-client)/",
      },
    },
    {
      name: "resolves",
      comment: "An import that leads nowhere.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    // Tests stand beside the code and may reach for anything that helps them.
    exclude: { path: "\\.test\\.ts$" },
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
