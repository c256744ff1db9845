/** A process of its own, beside the server of Next.js. */
import { createWorker } from "howdah";
import { sendEmail } from "./tasks.mjs";

const worker = await createWorker({ tasks: [sendEmail] });
await worker.run();
