import type { AuditEntry } from "../../client/operator-access.ts";
import type { ActivityView } from "../contract/overview-views.ts";

/** What someone did, as an answer has it. */
export function toActivityView({ id, at, who, action, target, outcome, count, operationId }: AuditEntry): ActivityView {
  return { id, at: at.toISOString(), who, action, target: { ...target }, outcome, count, operationId };
}

/** The same in a few words: `ada: pause of the queue "mail"`. */
export function toActivityText({ who, action, target }: Pick<AuditEntry, "who" | "action" | "target">): string {
  const [thing = "", verb = ""] = action.split(".");
  const name = target["name"] ?? target["action"];
  const what = typeof name === "string" ? `${thing.replace(/s$/, "")} ${JSON.stringify(name)}` : thing;
  return `${who}: ${verb} of ${what}`;
}
