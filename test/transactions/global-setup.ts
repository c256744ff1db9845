import { install } from "./install.ts";

/** Installs the libraries. */
export const setup = (): Promise<void> => install(import.meta.dirname);
