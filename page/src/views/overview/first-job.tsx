const EXAMPLE = `import { createClient } from "howdah";
const client = createClient({ connectionString: process.env.DATABASE_URL });
await client.addJob("send_email", { to: "ada@example.com" });`;

/** What there is to do in an empty database. */
export function FirstJob() {
  return (
    <section class="first-job">
      <h2>There is no job yet</h2>
      <p>These lines add one:</p>
      <pre>
        <code>{EXAMPLE}</code>
      </pre>
      <p class="quiet" role="status">
        Waiting for the first job. This page shows it as soon as it is there.
      </p>
    </section>
  );
}
