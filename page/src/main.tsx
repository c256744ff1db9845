import { render } from "preact";
import type { SessionAnswer } from "../../src/admin/contract/overview-views.ts";
import { Api } from "./api/api.ts";
import { Live } from "./api/live.ts";
import { App } from "./app.tsx";
import { browserClock } from "./clock.ts";
import { Page } from "./page.ts";
import { createSettings, type Keep } from "./settings.ts";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/views.css";

start();

/** Shows the page, from where the server says that it is. */
function start(): void {
  const base = new URL("./", document.baseURI);
  const api = new Api({
    url: new URL("api/v1/", base).href,
    fetch: (...request) => fetch(...request),
    clock: browserClock,
  });
  const live = new Live({
    clock: browserClock,
    open: (topics, signal) => api.stream(`live?topics=${topics.map(encodeURIComponent).join(",")}`, {}, signal),
  });
  const settings = createSettings(keepOf());
  const page = new Page({ base: base.pathname, clock: browserClock, api, live, settings, session: sessionOf() });
  const root = document.querySelector("#page");
  if (root) render(<App page={page} />, root);
}

/** What the server wrote into the page, so that nothing has to be asked before something is shown. */
function sessionOf(): SessionAnswer | undefined {
  try {
    const content = document.querySelector<HTMLMetaElement>('meta[name="howdah"]')?.content;
    return content ? (JSON.parse(content) as SessionAnswer) : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined where the browser forbids it. */
function keepOf(): Keep | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}
