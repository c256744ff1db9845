import { useRef, useState } from "preact/hooks";
import { type Condition, conditionText, parseFilter, withCondition, withoutCondition } from "../../filter/filter.ts";
import { STATES } from "../../filter/filter.ts";
import { Icon } from "../../parts/icons.tsx";
import { Suggestions } from "../../shell/search.tsx";

interface FilterBarProps {
  readonly conditions: readonly Condition[];
  readonly onChange: (conditions: readonly Condition[]) => void;
}

/** The filter as chips, with a field for further ones. */
export function FilterBar({ conditions, onChange }: FilterBarProps) {
  const state = conditions.find(({ name }) => name === "state");
  return (
    <div class="filter-bar">
      <div class="choice" role="group" aria-label="State">
        <button
          type="button"
          aria-pressed={state === undefined}
          onClick={() => onChange(conditions.filter(({ name }) => name !== "state"))}
        >
          all
        </button>
        {STATES.map((value) => (
          <button
            key={value}
            type="button"
            aria-pressed={state?.value === value}
            onClick={() => onChange(withCondition(conditions, { name: "state", value }))}
          >
            {value}
          </button>
        ))}
      </div>
      <ul class="chips" aria-label="Conditions">
        {conditions
          .filter(({ name }) => name !== "state")
          .map((condition) => (
            <li key={conditionText(condition)} class="chip">
              <span class="mono">{conditionText(condition)}</span>
              <button
                type="button"
                aria-label={`Drop ${conditionText(condition)}`}
                onClick={() => onChange(withoutCondition(conditions, condition))}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
      </ul>
      <NewCondition conditions={conditions} onChange={onChange} />
    </div>
  );
}

function NewCondition({ conditions, onChange }: FilterBarProps) {
  const field = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState("");
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const read = parseFilter(field.current?.value ?? "");
    setProblem(read.problems[0] ?? "");
    if (read.problems.length > 0 || read.conditions.length === 0) return;
    if (field.current) field.current.value = "";
    onChange(read.conditions.reduce<readonly Condition[]>(withCondition, conditions));
  };
  return (
    <form class="new-condition" onSubmit={submit}>
      <input
        ref={field}
        list="condition-suggestions"
        aria-label="Add a condition"
        placeholder="task:, queue:, worker:, key:, error:, payload.account=17, age:>5m"
        autocomplete="off"
        spellcheck={false}
        aria-describedby="condition-problem"
        aria-invalid={problem !== ""}
      />
      <Suggestions id="condition-suggestions" />
      <p id="condition-problem" role="alert" class={problem === "" ? "aloud" : "bad"}>
        {problem}
      </p>
    </form>
  );
}
