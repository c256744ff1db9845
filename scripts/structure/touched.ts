import { Session } from "node:inspector/promises";
import { fileURLToPath } from "node:url";

/** How often the work is done. */
const TIMES = 5;

/** What of the sources has run. */
export interface Touched {
  readonly files: number;
  readonly functions: number;
  /** The functions, each with its file. */
  readonly names: string[];
}

/** Counts what runs. */
export interface Counter {
  /** Counts what runs until `work` is over, also callbacks, each time that it is done: timers come and go. */
  during(work: () => Promise<unknown>): Promise<Touched>;
  close(): void;
}

/**
 * Counts the files and the functions of the sources that run during `work`, of
 * this process, by what the JavaScript engine counts itself.
 *
 * @param sources - the folder of the sources
 */
export async function createCounter(sources: string): Promise<Counter> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });

  async function take(): Promise<string[]> {
    // Taking resets the counts.
    const { result } = await session.post("Profiler.takePreciseCoverage");
    const names = result.flatMap(({ url, functions }) => {
      const path = url.startsWith("file:") ? fileURLToPath(url) : url;
      if (!path.startsWith(sources)) return [];
      // The first one is the module itself.
      const ran = functions.filter(({ functionName, ranges }) => functionName !== "" || ranges[0]?.startOffset !== 0);
      return ran
        .filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0)
        .map(
          ({ functionName, ranges }) =>
            `${path.slice(sources.length)} ${functionName || `(${ranges[0]?.startOffset})`}`,
        );
    });
    return names;
  }

  async function namesDuring(work: () => Promise<unknown>): Promise<string[]> {
    await take();
    await work();
    return take();
  }

  return {
    async during(work) {
      let names = await namesDuring(work);
      for (let times = 1; times < TIMES; times += 1) {
        const again = new Set(await namesDuring(work));
        names = names.filter((name) => again.has(name));
      }
      return { files: new Set(names.map((name) => name.split(" ")[0])).size, functions: names.length, names };
    },
    close: () => session.disconnect(),
  };
}
