/** Installs the releases of graphile-worker, and the Node.js that the newest one needs, before that Node.js is started. */
import { installLibraries } from "../harness/install-libraries.ts";

await installLibraries(import.meta.dirname);
