import { install } from "../install.ts";

/** Installs Prisma and generates its client. */
export const setup = (): Promise<void> => install(import.meta.dirname, [["npx", "prisma", "generate"]]);
