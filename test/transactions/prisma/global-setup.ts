import { installLibraries } from "../../harness/install-libraries.ts";

/** Installs Prisma and generates its client. */
export const setup = (): Promise<void> => installLibraries(import.meta.dirname, [["npx", "prisma", "generate"]]);
