import { installLibraries } from "../harness/install-libraries.ts";

/** Installs the releases of graphile-worker. */
export const setup = (): Promise<void> => installLibraries(import.meta.dirname);
