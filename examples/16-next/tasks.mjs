import { defineTask } from "howdah";

export const sendEmail = defineTask({
  identifier: "send_email",
  async run({ to }) {
    console.log(`an email to ${to}`);
  },
});
