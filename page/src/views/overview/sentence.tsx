import type { FindingView, OverviewAnswer } from "../../../../src/admin/contract/overview-views.ts";
import { capitalized } from "../../format/numbers.ts";
import { usePage } from "../../page.ts";
import { Icon } from "../../parts/icons.tsx";
import { Words } from "../../parts/words.tsx";

/** One sentence on how it goes, and what needs a person. */
export function Sentence({ overview }: { readonly overview: OverviewAnswer }) {
  const { status, sentence, needs } = overview;
  return (
    <section class={`sentence ${status}`} aria-label="Health">
      <p>
        <Icon name={status === "ok" ? "check" : "warning"} />
        <Words text={sentence} />
      </p>
      {needs.length > 0 && (
        <ul>
          {needs.slice(0, 5).map((finding) => (
            <Need key={finding.id} finding={finding} />
          ))}
          {needs.length > 5 && (
            <li>
              <MoreNeeds count={needs.length - 5} />
            </li>
          )}
        </ul>
      )}
    </section>
  );
}

function Need({ finding: { id, title, finding, status } }: { readonly finding: FindingView }) {
  const page = usePage();
  return (
    <li class={status}>
      <span class="what">
        <b>{capitalized(title)}</b> <Words text={finding} />
      </span>
      <a
        class="button small"
        href={page.href("health", { check: id })}
        aria-label={`What to do: ${capitalized(title)}`}
      >
        What to do
      </a>
    </li>
  );
}

function MoreNeeds({ count }: { readonly count: number }) {
  return <a href={usePage().href("health")}>{count} more</a>;
}
