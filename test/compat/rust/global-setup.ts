import { buildRust } from "./rust-program.ts";

/** Builds the program with graphile_worker_rs. */
export const setup = buildRust;
