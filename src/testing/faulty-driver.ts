import type {
  CallerTransaction,
  Driver,
  DriverShare,
  Executor,
  Query,
  QueryResult,
  ShareName,
} from "../postgres/driver.ts";
import { systemClock, type Clock } from "../runtime/clock.ts";
import { type ArmedFault, type StatementFault, faultOf, isInjected, type StatementKind } from "./statement-fault.ts";

/**
 * Puts faults in front of a driver, to see what an application does when a
 * connection is lost or the server refuses a statement. A client or a worker
 * takes it as its option `driver`. Closing it closes the driver behind it.
 */
export function faultyDriver(driver: Driver, clock: Clock = systemClock): FaultyDriver {
  return new DriverWithFaults(driver, clock);
}

/** A driver that fails when it is told to. */
export interface FaultyDriver extends Driver {
  /**
   * Lets a statement fail. Several faults are asked in the order in which they
   * were given, each counting for itself, and the first that is due is carried
   * out. Throws `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID`.
   */
  inject(fault: StatementFault): InjectedFault;
  /** Takes back all faults. */
  heal(): void;
}

/** A fault that was given to a {@link FaultyDriver}. */
export interface InjectedFault {
  /** How often it has happened. */
  readonly happened: number;
  /** Takes it back. */
  remove(): void;
}

class DriverWithFaults implements FaultyDriver {
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #faults = new Set<ArmedFault>();
  readonly share: Driver["share"];
  readonly within: Driver["within"];

  constructor(driver: Driver, clock: Clock) {
    this.#driver = driver;
    this.#clock = clock;
    // What the driver behind does not have is not there.
    this.share = driver.share && ((name) => this.#shareOf(driver, name));
    this.within = driver.within && ((given): CallerTransaction | undefined => driver.within?.(given));
  }

  get capabilities(): Driver["capabilities"] {
    return this.#driver.capabilities;
  }

  inject(fault: StatementFault): InjectedFault {
    const armed = faultOf(fault);
    this.#faults.add(armed);
    return {
      get happened() {
        return armed.happened;
      },
      remove: () => void this.#faults.delete(armed),
    };
  }

  heal(): void {
    this.#faults.clear();
  }

  query(query: Query): Promise<QueryResult> {
    return this.#run(this.#driver, query);
  }

  transaction<T>(work: (transaction: Executor) => Promise<T>): Promise<T> {
    return this.#transact(this.#driver, work);
  }

  listen: Driver["listen"] = (channels, handlers) => this.#driver.listen(channels, handlers);

  close(): Promise<void> {
    return this.#driver.close();
  }

  #shareOf(driver: Driver, name: ShareName): DriverShare {
    const share = driver.share?.(name) ?? driver;
    return {
      connections: "connections" in share ? share.connections : 1,
      query: (query) => this.#run(share, query),
      transaction: (work) => this.#transact(share, work),
    };
  }

  async #run(executor: Executor, query: Query): Promise<QueryResult> {
    const unanswered = await this.#before("statement", query);
    const result = await executor.query(query);
    if (unanswered) throw unanswered.error();
    return result;
  }

  async #transact<T>(share: Pick<Driver, "transaction">, work: (transaction: Executor) => Promise<T>): Promise<T> {
    let unanswered: ArmedFault | undefined;
    const result = await share.transaction(async (transaction) => {
      const inside = new TransactionWithFaults(transaction, (query) => this.#run(transaction, query));
      const done = await work(inside);
      // What is thrown here rolls back, as a server does whose client is gone.
      inside.check();
      unanswered = await this.#before("commit", COMMIT);
      return done;
    });
    if (unanswered) throw unanswered.error();
    return result;
  }

  /** Does what happens before a statement is sent. Resolves with the fault that loses its answer. */
  async #before(kind: StatementKind, query: Query): Promise<ArmedFault | undefined> {
    const fault = this.#next(kind, query);
    if (fault?.happens === "slow") await this.#clock.sleep(fault.delayMs);
    if (fault === undefined || fault.happens === "slow") return undefined;
    if (fault.happens === "lost-after") return fault;
    throw fault.error();
  }

  /** The fault that is due for a statement. Each of them counts it. */
  #next(kind: StatementKind, query: Query): ArmedFault | undefined {
    const due = [...this.#faults].filter((fault) => fault.counts(kind, query));
    const [first] = due;
    first?.happen();
    return first;
  }
}

/** A transaction that is over for the server, too, once a fault has happened in it. */
class TransactionWithFaults implements CallerTransaction {
  readonly #transaction: Executor;
  readonly #run: Executor["query"];
  #fault: Error | undefined;

  constructor(transaction: Executor, run: Executor["query"]) {
    this.#transaction = transaction;
    this.#run = run;
  }

  get isOpen(): boolean | undefined {
    return (this.#transaction as Partial<CallerTransaction>).isOpen;
  }

  async query(query: Query): Promise<QueryResult> {
    this.check();
    try {
      return await this.#run(query);
    } catch (error) {
      if (isInjected(error)) this.#fault = error;
      throw error;
    }
  }

  /** Throws what was thrown before. */
  check(): void {
    if (this.#fault) throw this.#fault;
  }
}

/** What stands for the end of a transaction. */
const COMMIT: Query = { text: "commit" };
