import { createAdmin } from "../../dist/admin/index.js";
import { createClient, silentLogger } from "../../dist/index.js";
import { monotonicMs, quantile } from "./statistics.mjs";

/** What one person asks for while the pages are open, view by view. */
const VIEWS = [
  "overview",
  "jobs",
  "jobs?state=ready&backward=true",
  "jobs?state=failed",
  "errors",
  "queues",
  "tasks",
  "workers",
  "schedules",
  "operations",
  "doctor",
];

/**
 * Runs in a child: an admin API with a number of open pages, each of which follows the overview, and one person who
 * goes through the views, one after another, twice a second. Says after each round how many answers there were, and
 * how long the middle one and the slowest twentieth took.
 */
export async function watchPages({ connectionString, pages }, channel) {
  const client = await createClient({ connectionString, migrate: false, logger: silentLogger });
  const admin = createAdmin({ client, logger: silentLogger, authorize: () => ({ name: "bench", role: "admin" }) });
  const get = (path) => admin.fetch(new Request(`http://bench.test/api/v1/${path}`));
  const streams = await Promise.all(Array.from({ length: pages }, () => get("live?topics=overview")));
  const followed = streams.map(({ body }) => body.pipeTo(new WritableStream()));
  const times = [];
  let isStopping = false;
  const stopped = channel.next().then(() => (isStopping = true));
  for (let asked = 0; !isStopping; asked += 1) {
    const startedAt = monotonicMs();
    const response = await get(VIEWS[asked % VIEWS.length]);
    await response.text();
    if (!response.ok) throw new Error(`${VIEWS[asked % VIEWS.length]} answered ${response.status}.`);
    times.push(monotonicMs() - startedAt);
    if (asked === 0) channel.send({ isReady: true });
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 500))]);
  }
  await admin.close();
  await Promise.allSettled(followed);
  await client.close();
  return { answers: times.length, viewMs: quantile(times, 0.5), viewP95: quantile(times, 0.95) };
}
