import { Option } from "commander";
import type { AccessOptions } from "../admin/admin-access.ts";
import { type ListenAddress, parseListenAddress } from "../admin/listen-address.ts";
import type { CliCommand } from "../command.ts";

const AUTH_KINDS = ["basic", "bearer", "header", "none"] as const satisfies readonly AccessOptions["auth"][];

/** `howdah admin`: the page for operators, and the API behind it. */
export const adminCommand: CliCommand = {
  usage: "admin",
  summary: "serve the page for operators, and the API behind it",
  examples: [
    "howdah admin",
    "howdah admin --auth none --read-only",
    "howdah admin --listen 0.0.0.0:8080 --base-path /jobs --trust-proxy --environment production",
  ],
  options: [
    new Option("--listen <address>", "where to listen: address:port, or a port of 127.0.0.1")
      .default({ host: "127.0.0.1", port: 5678 } satisfies ListenAddress, "127.0.0.1:5678")
      .argParser(parseListenAddress),
    new Option("--auth <kind>", "how to show who one is; none on loopback addresses only")
      .choices(AUTH_KINDS)
      .default("basic"),
    new Option("--user <name>", "with --auth basic: the name of the user").default("admin"),
    new Option("--header <name>", "with --auth header: the name of the header").default("x-howdah-token"),
    new Option("--tasks <source>", "the module or folder of the tasks, to show and check what their payloads must be"),
    new Option("--read-only", "refuse every change"),
    new Option("--base-path <path>", "the path that the page stands behind, such as /jobs").default("/"),
    new Option("--trust-proxy", "believe the X-Forwarded headers of a proxy"),
    new Option("--redact <paths...>", "what to hide of payloads, such as $.card.number"),
    new Option("--environment <name>", "what the top of the page says, such as production"),
    new Option("--migrate", "bring the schema up to date first"),
  ],
  // Other commands start without a web server.
  run: async (call) => (await import("../admin/serve-admin.ts")).serveAdmin(call),
};
