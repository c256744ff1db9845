import { Session } from "node:inspector/promises";
import { fileURLToPath } from "node:url";

/** What of the sources has run. */
export interface Touched {
  readonly files: number;
  readonly functions: number;
  /** The functions, each with its file. */
  readonly names: string[];
}

/** Counts what runs. */
export interface Counter {
  /** Counts what runs until `work` is over, whoever calls it. */
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

  return {
    async during(work) {
      await take();
      await work();
      const names = await take();
      return { files: new Set(names.map((name) => name.split(" ")[0])).size, functions: names.length, names };
    },
    close: () => session.disconnect(),
  };
}
