import { describeSource } from "../../contract/source.ts";

describeSource("a local queue", { localQueue: { size: 5 } });
describeSource("several local queues", { localQueue: { size: 2, queueCount: 3 } });
describeSource("a local queue with a refetch delay", {
  localQueue: { size: 5, refetchDelay: { duration: 20, threshold: 2, maxAbortThreshold: 2 } },
});
