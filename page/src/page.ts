import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext, useEffect } from "preact/hooks";
import type { SessionAnswer } from "../../src/admin/contract/overview-views.ts";
import type { Order } from "./actions/what-if-state.ts";
import { address, type Api, type Params } from "./api/api.ts";
import type { Live } from "./api/live.ts";
import { Resource } from "./api/resource.ts";
import type { ViewState } from "./api/view-state.ts";
import type { PageClock } from "./clock.ts";
import { Commands } from "./keyboard/commands.ts";
import type { Settings } from "./settings.ts";

/** What {@link Page} stands on. */
export interface PageParts {
  /** The path that the page is served from, with a slash at both ends. */
  readonly base: string;
  readonly clock: PageClock;
  readonly api: Api;
  readonly live: Live;
  readonly settings: Settings;
  /** Undefined as long as it is not known who asks. */
  readonly session: SessionAnswer | undefined;
}

/** How many answers are kept, so that a view that was left shows something when it is back. */
const MOST_RESOURCES = 60;

/** What all views of the page share. */
export class Page {
  readonly base: string;
  readonly clock: PageClock;
  readonly api: Api;
  readonly live: Live;
  readonly settings: Settings;
  readonly session: Signal<SessionAnswer | undefined>;
  readonly commands = new Commands();
  /** The time of the server, to the second. */
  readonly now: Signal<number>;
  /** The last thing that the page has to say; read aloud. */
  readonly said = signal("");
  /** Takes back what was said last; undefined where that cannot be. */
  readonly undo = signal<(() => void) | undefined>(undefined);
  /** The bulk change that is being looked at. */
  readonly order = signal<Order | undefined>(undefined);
  /** Goes up when jobs were changed here: what lists them reads them again. */
  readonly changed = signal(0);
  /** Whether the sheet of keys is open. */
  readonly isSheetOpen = signal(false);
  /** Whether this person may change jobs, queues and tasks. */
  readonly canOperate: ReadonlySignal<boolean>;
  /** Whether this person may break a lock. */
  readonly isAdmin: ReadonlySignal<boolean>;
  readonly #resources = new Map<string, Resource<unknown>>();
  #offsetMs = 0;

  constructor({ base, clock, api, live, settings, session }: PageParts) {
    this.base = base;
    this.clock = clock;
    this.api = api;
    this.live = live;
    this.settings = settings;
    this.session = signal(session);
    this.now = signal(clock.now());
    this.canOperate = computed(() => mayWrite(this.session.value, ["operate", "admin"]));
    this.isAdmin = computed(() => mayWrite(this.session.value, ["admin"]));
    if (session) this.setServerTime(session.serverTime);
  }

  /** Ages are by the clock of the server: that of the browser may be wrong. */
  setServerTime(iso: string): void {
    this.#offsetMs = Date.parse(iso) - this.clock.now();
    this.tick();
  }

  /** Moves `now` on. */
  tick(): void {
    this.now.value = this.clock.now() + this.#offsetMs;
  }

  /** What is read under this path of the API, shared by all views that show it. */
  resource<T>(path: string): Resource<T> {
    let found = this.#resources.get(path);
    if (!found) {
      this.#forget();
      found = new Resource<unknown>(this.clock, (abort) => this.api.get(path, {}, abort));
      this.#resources.set(path, found);
    }
    return found as Resource<T>;
  }

  /** A page that is open for days forgets what it showed long ago. */
  #forget(): void {
    for (const [path, resource] of this.#resources) {
      if (this.#resources.size < MOST_RESOURCES) return;
      if (!resource.isUsed) this.#resources.delete(path);
    }
  }

  /** An address of the page: `href("jobs", { state: "failed" })`. */
  href(path: string, params: Params = {}): string {
    return `${this.base}${address(path, params)}`;
  }

  /** Says something, in a corner and aloud, with a button that takes it back. */
  say(text: string, undo?: () => void): void {
    batch(() => {
      this.said.value = text;
      this.undo.value = undo;
    });
  }
}

/** The page that a component belongs to. */
export const PageContext = createContext<Page | undefined>(undefined);

/** The page; for components below its provider only. */
export function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("A component of the page stands outside of it.");
  return page;
}

/** Reads something for as long as the component is there, and hears what changes. */
export function useAnswer<T>(path: string, { isLive = true } = {}): ViewState<T> {
  const page = usePage();
  const resource = page.resource<T>(path);
  useEffect(() => {
    const end = resource.use();
    resource.load();
    const deafen = isLive ? page.live.listen(path, (news) => resource.hear(news)) : () => undefined;
    return () => {
      deafen();
      end();
    };
  }, [page, resource, path, isLive]);
  const changes = page.changed.value;
  useEffect(() => {
    if (changes > 0) resource.reload();
  }, [resource, changes]);
  return resource.state.value;
}

/** A name as a part of a path. */
export function inPath(name: string): string {
  return encodeURIComponent(name);
}

function mayWrite(session: SessionAnswer | undefined, roles: readonly string[]): boolean {
  return session !== undefined && !session.readOnly && roles.includes(session.role);
}
