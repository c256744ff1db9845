import { jobs } from "../../jobs.mjs";
import { sendEmail } from "../../tasks.mjs";

export async function POST(request) {
  const { to } = await request.json();
  const client = await jobs();
  const job = await client.addJob(sendEmail, { to });
  return Response.json({ id: job.id }, { status: 202 });
}
