/** A service of Fastify with its worker in the same process: it answers at once, and the work is done afterwards. */
// npm install --no-save fastify
import Fastify from "fastify";
import { createWorker, defineTask } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const postgres = await startPostgresUnlessGiven();
const app = Fastify({ logger: { level: "warn" } });

const sendEmail = defineTask({
  identifier: "send_email",
  async run({ to }, { state }) {
    await state.send(to);
  },
});

// What handlers share. Here it also tells the end of the program that the email is on its way.
let sent;
const isSent = new Promise((resolve) => (sent = resolve));
const state = {
  async send(to) {
    console.log(`an email to ${to}`);
    sent();
  },
};

const worker = await createWorker({
  connectionString: postgres.connectionString,
  schema: "howdah_examples",
  tasks: [sendEmail],
  state,
  logger: app.log, // Fastify's logger, as it is
  shutdown: { osSignals: false }, // the server ends first, and stops the worker
});

app.post("/emails", async (request, reply) => {
  const job = await worker.client.addJob(sendEmail, { to: request.body.to });
  return reply.code(202).send({ id: job.id });
});
app.get("/emails/:id", async (request) => {
  const job = await worker.client.getJob(request.params.id);
  return { state: job?.state ?? "done" };
});

const running = worker.run();
app.addHook("onClose", async () => {
  await worker.stop();
  await running;
});
process.once("SIGTERM", () => void app.close());

// What a browser does, and then the end.
const address = await app.listen({ host: "127.0.0.1", port: 0 });
const answer = await fetch(`${address}/emails`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ to: "ada@example.com" }),
});
console.log(`answered ${answer.status}`);
await isSent;
await app.close();
await postgres.stop();
