/** What the doctor knows of the server, its sessions and the tables as PostgreSQL sees them. */
export interface DatabaseFacts {
  readonly server: {
    /** As in `server_version_num`. */
    readonly version: number;
    readonly isStandby: boolean;
    readonly autovacuum: boolean;
    readonly trackCounts: boolean;
    readonly synchronousCommit: string;
  };
  readonly clock: { readonly databaseMs: number };
  readonly rights: RoleRights;
  readonly connections: {
    readonly used: number;
    readonly most: number;
    /** Null when this role does not see what others do. */
    readonly idleInTransaction: number | null;
  };
  readonly snapshots: {
    /** Whether this role sees the transactions of others. */
    readonly seesAll: boolean;
    /** Those that are open the longest; null for none. */
    readonly sessions: readonly OpenTransaction[] | null;
  };
  readonly xminHolders: { readonly seesAll: boolean; readonly holders: readonly XminHolder[] | null };
  readonly vacuum: {
    /** The tables are another implementation's, whose indexes keep updates from being in place. */
    readonly isShared?: boolean;
    readonly tables: readonly VacuumedTable[] | null;
  };
  readonly sizes: { readonly relations: readonly RelationSize[] | null };
  readonly vacuumsUnderWay: { readonly seesAll: boolean; readonly vacuums: readonly VacuumUnderWay[] | null };
  readonly tableOptions: {
    /** The tables are another implementation's, and so are their options. */
    readonly isShared?: boolean;
    readonly tables: readonly { readonly name: string; readonly options: string[] | null }[] | null;
  };
  readonly indexes: { readonly indexes: readonly JobIndex[] | null };
  readonly attachments: {
    readonly triggers: readonly string[] | null;
    readonly hasRowSecurity: boolean;
    readonly hasPolicies: boolean;
    readonly isOwner: boolean;
    readonly foreignKeys: readonly string[] | null;
    readonly publications: readonly string[] | null;
  };
  readonly notifications: { readonly share: number };
  readonly lockWaits: { readonly seesAll: boolean; readonly waits: readonly LockWait[] | null };
  readonly wraparound: { readonly age: number; readonly freezeAge: number };
  readonly sequences: {
    /** Those that have used the most of their numbers; null for a share that this role may not see. */
    readonly sequences: readonly { readonly name: string; readonly share: number | null }[] | null;
  };
  readonly extensions: {
    /** Whether `pg_stat_statements` is in this database. */
    readonly hasStatements: boolean;
    readonly hasStatTuple: boolean;
  };
}

/** What the role of this connection may do. */
export interface RoleRights {
  readonly role: string;
  readonly mayInsertJobs: boolean;
  readonly mayUpdateJobs: boolean;
  /** The statements that would grant what it lacks to read, to add jobs, and to run them; null for none. */
  readonly lacking: { readonly [Kind in RoleKind]: readonly string[] | null };
}

/** What a role is there for: one that adds jobs reads, too, and one that runs them adds. */
export type RoleKind = "reader" | "producer" | "worker";

/** A table, or an index of it. */
export interface RelationSize {
  readonly name: string;
  readonly isIndex: boolean;
  readonly bytes: number;
  /** Rows or entries, as PostgreSQL has estimated them; null before it has. */
  readonly rows: number | null;
  /** The bytes of a row by the statistics; null without any, and for an index. */
  readonly width: number | null;
  /** The share of a page that is filled when rows are added. */
  readonly fillFactor: number;
}

/** A vacuum of one of the tables. */
export interface VacuumUnderWay {
  readonly pid: number;
  readonly table: string;
  readonly phase: string;
  readonly seconds: number;
  /** It waits for a session that reads a page, a cursor for instance. */
  readonly waitsForPage: boolean;
  readonly blockedBy: readonly number[];
}

/** A session in a transaction that holds back vacuum. */
export interface OpenTransaction {
  readonly pid: number;
  readonly user: string | null;
  readonly application: string | null;
  readonly state: string | null;
  readonly openSeconds: number;
}

/** Something but a session that holds back vacuum. */
export interface XminHolder {
  readonly kind: "slot" | "prepared" | "standby";
  readonly name: string;
  /** In transactions. */
  readonly age: number;
  /** Of a slot; true for all others. */
  readonly isActive: boolean;
}

/** What the statistics say of a table. */
export interface VacuumedTable {
  readonly name: string;
  readonly live: number;
  readonly dead: number;
  readonly updates: number;
  readonly hotUpdates: number;
  readonly wasVacuumed: boolean;
}

/** An index of the jobs table. */
export interface JobIndex {
  readonly name: string;
  readonly isValid: boolean;
  readonly isOurs: boolean;
  /** It contains a column that each claim writes. */
  readonly endsHot: boolean;
}

/** A session that waits for a lock on one of the tables. */
export interface LockWait {
  readonly pid: number;
  readonly table: string;
  readonly mode: string;
  readonly seconds: number;
  readonly blockedBy: readonly number[];
}
