import { defineTask, type JobContext } from "howdah";
import type { Mailer } from "./mailer.js";

export const sendEmail = defineTask({
  identifier: "send_email",
  async run({ to }: { to: string }, { state: mailer }: JobContext<Mailer>) {
    await mailer.send(to);
  },
});
