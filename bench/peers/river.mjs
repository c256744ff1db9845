export { open } from "./program.mjs";

/** What the scenarios run River with; what is left out is its default. */
export const SETTINGS = {
  default: {
    options: { maxWorkers: 24, poolSize: 25 },
    source: "the defaults, with as many workers as the others have slots: it fetches once in 100 ms at most",
  },
  tuned: {
    options: { maxWorkers: 1_000, fetchCooldownMs: 2, fetchPollIntervalMs: 20, poolSize: 25 },
    source:
      "the fastest of those tried on this machine: 100, 1,000, 2,000, 5,000 and 10,000 workers, with short intervals as in `river bench`",
  },
  latency: {
    options: { maxWorkers: 24, fetchCooldownMs: 1, poolSize: 25 },
    source: "the shortest FetchCooldown that it allows, for its worker and for its notifications",
  },
};
