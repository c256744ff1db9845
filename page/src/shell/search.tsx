import { useLocation } from "preact-iso";
import { useRef, useState } from "preact/hooks";
import type { TasksAnswer } from "../../../src/admin/contract/group-views.ts";
import type { OverviewAnswer } from "../../../src/admin/contract/overview-views.ts";
import { dataOf } from "../api/view-state.ts";
import { parseFilter, queryOfFilter } from "../filter/filter.ts";
import { suggestions } from "../filter/suggestions.ts";
import { useCommand } from "../keyboard/use-command.ts";
import { inPath, type Page, usePage } from "../page.ts";
import { Icon } from "../parts/icons.tsx";

/** A field that takes the id of a job, the name of a task or a queue, or a filter. */
export function Search() {
  const page = usePage();
  const { route } = useLocation();
  const field = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState("");
  useCommand("search", () => field.current?.focus());
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const found = placeOfSearch(page, field.current?.value ?? "");
    setProblem(found.problem ?? "");
    if (found.href === undefined) return;
    if (field.current) field.current.value = "";
    route(found.href);
  };
  return (
    <form class="search" role="search" onSubmit={submit}>
      <Icon name="search" />
      <input
        ref={field}
        type="search"
        list="search-suggestions"
        aria-label="Search"
        placeholder="Job id, task:, queue:, key:, error:"
        autocomplete="off"
        spellcheck={false}
        aria-describedby="search-problem"
        onFocus={() => page.resource("tasks").load()}
        onInput={() => setProblem("")}
      />
      <kbd aria-hidden="true">/</kbd>
      <Suggestions id="search-suggestions" />
      <p id="search-problem" class={problem === "" ? "aloud" : "below"} role="alert">
        {problem}
      </p>
    </form>
  );
}

/** What a field of filters offers: the names that the page knows. */
export function Suggestions({ id }: { readonly id: string }) {
  const { tasks, queues } = knownNames(usePage());
  return (
    <datalist id={id}>
      {suggestions({ tasks, queues }).map((text) => (
        <option key={text} value={text} />
      ))}
    </datalist>
  );
}

function placeOfSearch(page: Page, text: string): { readonly href?: string; readonly problem?: string } {
  const word = text.trim();
  if (word === "") return {};
  if (/^\d{1,19}$/.test(word)) return { href: page.href(`jobs/${word}`) };
  const { tasks, queues } = knownNames(page);
  if (tasks.includes(word)) return { href: page.href(`tasks/${inPath(word)}`) };
  if (queues.includes(word)) return { href: page.href(`queues/${inPath(word)}`) };
  const { conditions, problems } = parseFilter(word);
  const [problem] = problems;
  return problem === undefined ? { href: page.href("jobs", queryOfFilter(conditions)) } : { problem };
}

function knownNames(page: Page): { readonly tasks: readonly string[]; readonly queues: readonly string[] } {
  const overview = dataOf(page.resource<OverviewAnswer>("overview").state.value);
  const tasks = dataOf(page.resource<TasksAnswer>("tasks").state.value)?.tasks ?? overview?.tasks ?? [];
  return { tasks: tasks.map(({ name }) => name), queues: (overview?.queues ?? []).map(({ name }) => name) };
}
