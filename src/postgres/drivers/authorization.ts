/** The rights that the session of one client has, as far as the server has reported a change. */
export class Authorization {
  readonly #setUp: Rights;
  readonly #start: Rights = new Map();
  readonly #now: Rights = new Map();
  /** True until the pool has the client back for the first time. */
  isNew: boolean;
  /** True while the client runs nothing but what listeners of the pool set it up with, and statements of ours. */
  isBeingSetUp = false;

  /** `setUp` is shared by the clients of a pool: the rights that the application gives to each when it connects. */
  constructor({ connection, user }: ReportingClient, setUp: Rights, isNew: boolean) {
    this.#setUp = setUp;
    this.isNew = isNew;
    // The values at the start are reported before the pool tells of its client.
    if (user) this.#start.set("session_authorization", user);
    connection.on("parameterStatus", this.#heed);
  }

  /** True when the session has other rights than those that it started with or was set up with. */
  get isForeign(): boolean {
    for (const [name, value] of this.#now) {
      if (value !== (this.#setUp.get(name) ?? this.#start.get(name))) return true;
    }
    return false;
  }

  readonly #heed = ({ parameterName: name, parameterValue: value }: Report): void => {
    if (!REPORTED.has(name)) return;
    // Only a value that differs is reported, so the first report says what it was before.
    if (name === "is_superuser" && !this.#start.has(name)) this.#start.set(name, value === "on" ? "off" : "on");
    if (this.isBeingSetUp) this.#setUp.set(name, value);
    this.#now.set(name, value);
  };
}

/** What a client of `pg` has beside its methods. A wrapper may lack it. */
export interface ReportingClient {
  readonly connection: { on(event: "parameterStatus", listener: (report: Report) => void): unknown };
  readonly user?: string;
}

interface Report {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/** The values of those, as far as they are known. */
export type Rights = Map<string, string>;

/** What PostgreSQL reports, without being asked, when the rights of a session change. */
const REPORTED = new Set(["session_authorization", "is_superuser"]);
