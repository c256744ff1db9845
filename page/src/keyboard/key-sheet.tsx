import { usePage } from "../page.ts";
import { Dialog } from "../parts/dialog.tsx";
import { KEY_MAP, type KeyBinding } from "./key-map.ts";

const GROUPS: readonly KeyBinding["group"][] = ["Go to", "Rows", "Jobs, queues, tasks", "Page"];

/** All keys, and the choices that are made once. */
export function KeySheet() {
  const page = usePage();
  const { keys, density } = page.settings;
  return (
    <Dialog title="Keys" isWide onClose={() => void (page.isSheetOpen.value = false)}>
      <div class="key-sheet">
        {GROUPS.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {KEY_MAP.filter((binding) => binding.group === group).map(({ keys: pressed, says }) => (
                <div key={pressed.join()}>
                  <dt>
                    {pressed.map((key) => (
                      <kbd key={key}>{NAMES[key] ?? key}</kbd>
                    ))}
                  </dt>
                  <dd>{says}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <footer>
        <label>
          <input
            type="checkbox"
            checked={keys.value === "on"}
            onChange={() => void (keys.value = keys.value === "on" ? "off" : "on")}
          />
          Follow these keys
        </label>
        <label>
          <input
            type="checkbox"
            checked={density.value === "compact"}
            onChange={() => void (density.value = density.value === "compact" ? "regular" : "compact")}
          />
          Low rows
        </label>
      </footer>
    </Dialog>
  );
}

const NAMES: Readonly<Record<string, string>> = {
  ArrowDown: "↓",
  ArrowUp: "↑",
  Escape: "esc",
  Enter: "enter",
  X: "shift x",
  A: "shift a",
};
