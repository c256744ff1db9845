import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Configuration } from "./configurations.ts";
import type { Place } from "./crew.ts";
import { parseLedger } from "./ledger.ts";
import type { Settings } from "./settings.ts";
import { sessionNameOf } from "./strike.ts";

/** A place for a worker, which is filled again and again until the run ends. */
export function workerPlace({ options }: Configuration, place: number, connectionString: string): Place {
  const address = new URL(connectionString);
  address.searchParams.set("application_name", sessionNameOf(place));
  return {
    name: `worker-${place}`,
    script: "worker",
    nextOptions: () => Promise.resolve({ place, options: { ...options, connectionString: address.href } }),
  };
}

interface ProducerGround {
  readonly settings: Settings;
  /** Where the ledgers are. */
  readonly folder: string;
  readonly connectionString: string;
}

/** Places for producers: each adds its share of the jobs, and its successor adds what is missing. */
export function producerPlaces({ settings, folder, connectionString }: ProducerGround): Place[] {
  const { seed, jobs, producers, failing, durationMs } = settings;
  const share = Math.ceil(jobs / producers);
  // Done with some time to spare, so that faults meet workers with and without a backlog.
  const perSecond = share / ((durationMs / 1_000) * 0.8);
  return Array.from({ length: producers }, (_, place): Place => {
    const name = `producer-${place}`;
    let incarnation = 0;
    return {
      name,
      script: "producer",
      async nextOptions() {
        const missing = share - (await countAdded(folder, `${name}-`));
        if (missing <= 0) return undefined;
        incarnation += 1;
        const ownSeed = (seed + place * 7_919 + incarnation * 104_729) >>> 0;
        return { place, seed: ownSeed, connectionString, jobs: missing, perSecond, failing };
      },
    };
  });
}

async function countAdded(folder: string, prefix: string): Promise<number> {
  let count = 0;
  for (const file of await readdir(folder)) {
    if (!file.startsWith(prefix)) continue;
    for (const line of parseLedger(await readFile(join(folder, file), "utf8"), file)) {
      if (line.e === "added") count += line.ids.length;
    }
  }
  return count;
}
