import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { SessionAnswer } from "../../../src/admin/contract/overview-views.ts";
import { type Problem, toProblem } from "../api/problem.ts";
import { type Page, usePage } from "../page.ts";

/** Shows nothing of the page before it is known who asks; asks for a token where the server wants one. */
export function Gate({ children }: { readonly children: ComponentChildren }) {
  const page = usePage();
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    if (page.session.peek() === undefined) void askSession(page).then(setProblem);
  }, [page]);
  if (page.session.value !== undefined) return <>{children}</>;
  if (problem === undefined) return <main class="gate" aria-busy="true" />;
  return (
    <main class="gate">
      {problem.kind === "unauthorised" ? (
        <TokenForm onProblem={setProblem} />
      ) : (
        <Unreached problem={problem} onProblem={setProblem} />
      )}
    </main>
  );
}

interface GateProps {
  readonly onProblem: (problem: Problem | undefined) => void;
}

function TokenForm({ onProblem }: GateProps) {
  const page = usePage();
  const [hasFailed, setFailed] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const token = new FormData(event.currentTarget as HTMLFormElement).get("token");
    page.api.token = typeof token === "string" ? token : "";
    const problem = await askSession(page);
    setFailed(problem !== undefined);
    if (problem && problem.kind !== "unauthorised") onProblem(problem);
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <h1>Howdah</h1>
      <label>
        Token
        <input name="token" type="password" autocomplete="off" required aria-describedby="token-note" />
      </label>
      <p id="token-note" class="quiet" role={hasFailed ? "alert" : undefined}>
        {hasFailed ? "The server does not know this token." : "It is kept until the page is closed."}
      </p>
      <button type="submit" class="main">
        Sign in
      </button>
    </form>
  );
}

function Unreached({ problem, onProblem }: GateProps & { readonly problem: Problem }) {
  const page = usePage();
  return (
    <div role="alert">
      <h1>Howdah</h1>
      <p>{problem.message}</p>
      <button type="button" onClick={() => void askSession(page).then(onProblem)}>
        Try again
      </button>
    </div>
  );
}

async function askSession(page: Page): Promise<Problem | undefined> {
  try {
    const session = await page.api.get<SessionAnswer>("session");
    page.setServerTime(session.serverTime);
    page.session.value = session;
    return undefined;
  } catch (error) {
    return toProblem(error);
  }
}
