import type { z } from "zod";
import type { Client } from "../client/client.ts";
import type { OperatorAccess } from "../client/operator-access.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { AdminSettings } from "./admin-options.ts";
import type { Audit } from "./audit.ts";
import type { RouteName, ROUTES } from "./contract/routes.ts";
import type { SharedFacts } from "./shared-facts.ts";
import type { OperationRuns } from "./operation-runs.ts";
import type { PreviewTokens } from "./preview-tokens.ts";
import type { Principal } from "./principal.ts";
import type { Redaction } from "./redact/redaction.ts";
import type { TaskSchemas } from "./task-schemas.ts";

/** What the routes stand on. */
export interface AdminGround {
  readonly client: Client;
  readonly access: OperatorAccess;
  readonly settings: AdminSettings;
  readonly redaction: Redaction;
  readonly facts: SharedFacts;
  readonly audit: Audit;
  readonly tokens: PreviewTokens;
  readonly runs: OperationRuns;
  readonly schemas: TaskSchemas;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who asks. */
export interface Caller {
  readonly principal: Principal;
  /** Names the request in problems and in the log. */
  readonly requestId: string;
}

/** A request, read by the schemas of its route. */
export interface RouteCall<N extends RouteName> extends Caller {
  readonly params: PartOf<N, "params">;
  readonly query: PartOf<N, "query">;
  readonly body: PartOf<N, "body">;
}

/** What answers each route. */
export type Handlers<N extends RouteName = RouteName> = {
  readonly [Name in N]: (call: RouteCall<Name>) => Promise<AnswerOf<Name>>;
};

/** What a route answers. */
export type AnswerOf<N extends RouteName> = z.output<(typeof ROUTES)[N]["response"]>;

type PartOf<N extends RouteName, Part extends string> = (typeof ROUTES)[N] extends {
  readonly [P in Part]: infer S extends z.ZodType;
}
  ? z.output<S>
  : undefined;
