import { type Authorize, generateSecret } from "../../admin/auth/authorize.ts";
import { basicAuth, bearerAuth, headerAuth, isLoopback, noAuth } from "../../admin/auth/built-in.ts";
import { HowdahError } from "../../errors.ts";
import { formatListenAddress, type ListenAddress } from "./listen-address.ts";

/** What the command line says about who may look and act. */
export interface AccessOptions {
  /** How a person shows who they are. */
  readonly auth: "basic" | "bearer" | "header" | "none";
  readonly listen: ListenAddress;
  /** For basic. */
  readonly user: string;
  /** For header. */
  readonly header: string;
  /** The password or token; generated when it is left out. */
  readonly secret: string | undefined;
}

/** Who may look and act, and what a person has to know of it. */
export interface Access {
  readonly authorize: Authorize;
  /** The lines that tell it, each with its subject. A secret is in them only when it was generated. */
  readonly lines: readonly (readonly [subject: string, text: string])[];
  /** The secret that was generated. */
  readonly generated: string | undefined;
}

/**
 * Makes the check of who may look and act; everyone who gets in may do everything. Throws `HOWDAH_OPTION_INVALID` for
 * `none` on an address that other machines reach, for an empty secret, and for a name that no header can have.
 */
export function createAccess(options: AccessOptions): Access {
  const { auth, listen, user, header } = options;
  if (auth === "none") return openAccess(listen);
  if (options.secret === "") throw invalid("HOWDAH_ADMIN_SECRET is empty: give it a value, or unset it.");
  const generated = options.secret === undefined ? generateSecret() : undefined;
  const secret = options.secret ?? generated ?? "";
  const shown = generated ?? "(that of HOWDAH_ADMIN_SECRET)";
  switch (auth) {
    case "basic": {
      const lines = [["User", user] as const, ["Password", shown] as const];
      return { authorize: basicAuth({ name: user, password: secret, role: "admin" }), lines, generated };
    }
    case "bearer": {
      const lines = [["Header", `authorization: Bearer ${shown}`] as const];
      return { authorize: bearerAuth({ token: secret, role: "admin" }), lines, generated };
    }
    case "header": {
      const lines = [["Header", `${header}: ${shown}`] as const];
      return { authorize: headerAuth({ header, value: secret, role: "admin" }), lines, generated };
    }
  }
}

function openAccess(listen: ListenAddress): Access {
  if (!isLoopback(listen.host)) {
    throw invalid(
      `Option --auth none needs a loopback address such as 127.0.0.1, and --listen is ${formatListenAddress(listen)}, where everyone who reaches it could change jobs: choose basic, bearer or header.`,
    );
  }
  return { authorize: noAuth(), lines: [["Access", "everyone on this machine"]], generated: undefined };
}

function invalid(message: string): HowdahError {
  return new HowdahError("HOWDAH_OPTION_INVALID", message);
}
