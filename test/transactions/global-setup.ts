import { installLibraries } from "../harness/install-libraries.ts";

/** Installs the libraries. */
export const setup = (): Promise<void> => installLibraries(import.meta.dirname);
