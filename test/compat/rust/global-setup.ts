import { buildRust } from "./build-rust.ts";

/** Builds the program with graphile_worker_rs. */
export const setup = buildRust;
