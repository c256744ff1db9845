/**
 * A page for operators, and its API: `howdah/admin`.
 *
 * @packageDocumentation
 */
export type { AdminEnvironment, AdminOptions } from "./admin-options.ts";
export { type Authorize, generateSecret, type Grant, type RequestInfo } from "./auth/authorize.ts";
export {
  type AuthSettings,
  type BasicCredential,
  basicAuth,
  type BearerCredential,
  bearerAuth,
  type HeaderCredential,
  headerAuth,
  noAuth,
} from "./auth/built-in.ts";
export { type Admin, createAdmin } from "./create-admin.ts";
export type { Principal } from "./principal.ts";
export { type FetchHandler, type NodeListener, toNodeListener } from "./to-node-listener.ts";
