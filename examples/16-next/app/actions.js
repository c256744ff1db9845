"use server";

import { jobs } from "../jobs.mjs";
import { sendEmail } from "../tasks.mjs";

/** The same from a form, as a server action. */
export async function welcome(form) {
  const client = await jobs();
  await client.addJob(sendEmail, { to: String(form.get("to")) });
}
