import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { usePage } from "../page.ts";
import { Moment } from "./figures.tsx";
import { HelpMenu, type HelpName } from "./help.tsx";
import { Icon } from "./icons.tsx";

interface ViewHeadProps {
  readonly title: string;
  /** When what is shown was read. */
  readonly asOf?: string | undefined;
  /** Where this view belongs: a link in front of the title. */
  readonly parent?: { readonly href: string; readonly title: string };
  /** What explains it. */
  readonly help: HelpName;
  /** Buttons. */
  readonly children?: ComponentChildren;
}

/** The top of a view: what it is, how old it is, and what can be done. */
export function ViewHead({ title, asOf, parent, help, children }: ViewHeadProps) {
  const page = usePage();
  const environment = page.session.value?.environment?.name;
  useEffect(() => {
    document.title = [title, environment, "Howdah"].filter(Boolean).join(" - ");
  }, [title, environment]);
  return (
    <header class="view-head">
      {parent && (
        <a class="parent" href={parent.href}>
          <Icon name="back" />
          {parent.title}
        </a>
      )}
      <h1>{title}</h1>
      {asOf !== undefined && (
        <span class="as-of">
          as of <Moment at={asOf} />
        </span>
      )}
      <div class="actions">
        {children}
        <HelpMenu of={help} />
      </div>
    </header>
  );
}
