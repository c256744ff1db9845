import { startProgram } from "../measure/program.mjs";

/**
 * A side that is a program, as an adapter: for what is not measured, such as filling its tables. Each program knows the
 * calls
 *
 *   serve          adds { jobs } for each message; creates what it needs for one without
 *   work           the worker of a drain: `work` of measure/drain-worker.mjs
 *   watchStarts    the worker of scenarios/latency-apart.mjs, and
 *   addOnes        its adder
 *   timeAdds       the producers of scenarios/single-adds.mjs
 *   timeBulkAdds   those of scenarios/bulk-add.mjs
 */
export async function open(connectionString, { name }) {
  let answered;
  const { send, result } = startProgram({
    call: "serve",
    input: { peer: name, connectionString },
    onMessage: () => answered(),
  });

  async function ask(message) {
    const answer = new Promise((resolve) => (answered = resolve));
    send(message);
    await Promise.race([answer, result.then(() => Promise.reject(new Error("The program has ended.")))]);
  }

  return {
    install: () => ask({}),
    addBulk: (jobs) => ask({ jobs }),
    addOne: (payload) => ask({ jobs: [{ payload }] }),

    async close() {
      send("stop");
      await result;
    },
  };
}
