import { expect, it } from "vitest";
import { PoolMembers } from "./pool-members.ts";

it("names three queues of the pool at a time, the one first that was added first, each once", () => {
  const members = new PoolMembers();
  for (const queueId of [7, 8, 9, 10]) members.add(1, queueId);
  members.add(2, 20);
  expect([members.take(1), members.take(1), members.take(1), members.take(2)]).toEqual([[7, 8, 9], [10], [], [20]]);
});

it("names a queue again that was added again, behind the others", () => {
  const members = new PoolMembers();
  for (const queueId of [7, 8, 9, 10]) members.add(1, queueId);
  members.take(1);
  members.add(1, 7);
  members.add(1, 10);
  expect(members.take(1)).toEqual([10, 7]);
});

it("remembers 1,000 queues of 100 pools at most", () => {
  const members = new PoolMembers();
  for (let queueId = 1; queueId <= 1_100; queueId++) members.add(1, queueId);
  for (let poolId = 2; poolId <= 200; poolId++) members.add(poolId, poolId);
  let count = 0;
  while (members.take(1).length > 0) count += 1;
  expect([count, members.take(100), members.take(101)]).toEqual([334, [100], []]);
});
