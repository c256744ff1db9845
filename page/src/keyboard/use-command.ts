import { useLayoutEffect, useRef } from "preact/hooks";
import { usePage } from "../page.ts";
import type { Run } from "./commands.ts";
import type { Command } from "./key-map.ts";

/** Follows a command for as long as the component is there; undefined leaves it to others. */
export function useCommand(command: Command, run: Run | undefined): void {
  const page = usePage();
  const newest = useRef(run);
  newest.current = run;
  // At once with what shows the key, not a moment later: someone may be quick, or the machine slow.
  useLayoutEffect(
    () => page.commands.follow(command, () => (newest.current ? newest.current() : false)),
    [page, command],
  );
}
