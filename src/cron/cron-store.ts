import type { Driver } from "../postgres/driver.ts";
import { addCronTicks, type KnownCrontab, registerCrontabs, type TickToAdd } from "../postgres/queries/cron-ledger.ts";
import {
  addScheduleTicks,
  listSchedules,
  type ScheduleTick,
  type ScheduleTickResult,
  seeScheduleTasks,
} from "../postgres/queries/schedules.ts";
import type { Schema } from "../postgres/schema.ts";
import { type StoredSchedule, toStoredSchedule } from "./stored-schedule.ts";

/** Decides and stores ticks. */
export interface CronStore {
  /** Registers entries and returns what is stored of each, by its id. */
  register(ids: readonly string[], nowMs: number): Promise<Map<string, KnownCrontab>>;
  /** Adds ticks of entries; the ids of the jobs in order, null where another worker was first. */
  addTicks(ticks: readonly TickToAdd[]): Promise<(string | null)[]>;
  listSchedules(): Promise<StoredSchedule[]>;
  addScheduleTicks(ticks: readonly ScheduleTick[]): Promise<ScheduleTickResult[]>;
  /** Stores that a running worker knows these tasks, at most once in `intervalMs` for each schedule. */
  seeTasks(tasks: readonly string[], intervalMs: number): Promise<void>;
}

/** The store in a migrated schema. */
export function createCronStore(driver: Driver, schema: Schema): CronStore {
  const target = { executor: driver, schema };
  return {
    register: (ids, nowMs) => registerCrontabs(target, ids, nowMs),
    addTicks: (ticks) => addCronTicks(driver, schema, ticks),
    listSchedules: async () => (await listSchedules(target)).map(toStoredSchedule),
    addScheduleTicks: (ticks) => addScheduleTicks(target, ticks),
    seeTasks: (tasks, intervalMs) => seeScheduleTasks(target, tasks, intervalMs),
  };
}
