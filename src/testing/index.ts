/** What tests of applications and of Howdah itself need: time that can be moved. */
export { createManualClock, type ManualClock } from "./manual-clock.ts";
