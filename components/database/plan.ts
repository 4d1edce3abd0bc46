import { HOURS_A_MONTH, pricesOf, type Tier } from "../cost.ts";
import { ConfigError, type Fault } from "../errors.ts";
import {
  CONNECTION_BYTES,
  DAILY_CHANGE_PERCENT,
  DATABASE_CLASSES,
  DATABASE_LINES,
  DATABASE_PRICES,
  type DatabaseClass,
  type DatabasePrice,
  LOG_GB_PER_USER,
  MAX_BACKUP_DAYS,
  MAX_CONNECTIONS,
  POSTGRES,
  PROXY_FROM_CONNECTIONS,
  PROXY_MIN_VCPUS,
  PROXY_PAIRS,
  STORAGE_GIB,
  STORAGE_GROWTH,
  SYSTEM_MEMORY_PERCENT,
} from "./catalog.ts";
import type { DatabaseSettings } from "./settings.ts";

/** What the database is for. Plain numbers; presets are known to the stack alone. */
export interface DatabaseNeed {
  readonly users: number;
  /** Connections that the nodes keep open together, where the settings name none. */
  readonly connections: number;
  /** A copy in another zone that takes over. */
  readonly multiAz: boolean;
  readonly zones: number;
  /** Days of backups of the environment. */
  readonly backupDays: number;
  readonly settings: DatabaseSettings;
  /** The database as it is, if there is one. */
  readonly previous?: DatabaseMark | null;
  /** Major version of PostgreSQL. @default the catalog's */
  readonly version?: string;
}

/** What a database never goes below. */
export interface DatabaseMark {
  readonly storageGiB: number;
  readonly maxStorageGiB: number;
  readonly version: string;
}

export interface DatabasePlan extends DatabaseMark {
  readonly family: string;
  readonly instanceClass: string;
  readonly vcpus: number;
  readonly connections: number;
  readonly users: number;
  readonly multiAz: boolean;
  readonly proxy: boolean;
  /** Days of automatic backups; 0: none. */
  readonly backupDays: number;
  /** The number that decided the class. */
  readonly why: string;
  /** What a person should know, without being an error. */
  readonly notes: readonly string[];
}

/** Connections that a class takes. */
export function connectionsOf({ memoryGiB }: DatabaseClass): number {
  const bytes = memoryGiB * 2 ** 30 * (1 - SYSTEM_MEMORY_PERCENT / 100);
  return Math.min(MAX_CONNECTIONS, Math.floor(bytes / CONNECTION_BYTES));
}

/** The smallest database that takes the connections and holds the knowledge. Throws ConfigError. */
export function planDatabase(need: DatabaseNeed): DatabasePlan {
  const { settings, previous = null, version = POSTGRES.version } = need;
  const faults: Fault[] = [];
  const notes: string[] = [];
  const connections = settings.connections ?? need.connections;
  const found = chooseClass(connections, settings.instanceClass, faults);
  const storage = planStorage(need, previous, faults, notes);
  const proxy = planProxy(connections, settings.proxy, version, faults, notes);
  if (need.zones < 2) {
    faults.push({
      setting: "aws.zones",
      problem: `are ${need.zones}, and RDS wants subnets in 2, for a database in one as well`,
      remedy: "Name two or three zones",
    });
  }
  if (previous && Number(version) < Number(previous.version)) {
    faults.push({
      setting: "database",
      problem: `has PostgreSQL ${previous.version}, and ${version} is older; RDS has no way back`,
      remedy: "Run a release of openclaw-fleet that has the database's version",
    });
  }
  if (faults.length > 0 || found === undefined) throw new ConfigError(faults);
  return {
    version,
    family: `postgres${version}`,
    instanceClass: found.type,
    vcpus: found.vcpus,
    connections,
    users: need.users,
    ...storage,
    multiAz: need.multiAz,
    proxy,
    backupDays: Math.min(settings.backupDays ?? need.backupDays, MAX_BACKUP_DAYS),
    why: `${connections} connections; the class takes ${connectionsOf(found)}`,
    notes,
  };
}

function chooseClass(
  connections: number,
  named: string | undefined,
  faults: Fault[],
): DatabaseClass | undefined {
  const largest = DATABASE_CLASSES.at(-1) as DatabaseClass;
  if (named !== undefined) {
    const one = DATABASE_CLASSES.find((c) => c.type === named);
    if (!one) {
      faults.push({
        setting: "database.instanceClass",
        problem: `is ${named}, which is not listed`,
        remedy: `Write one of ${DATABASE_CLASSES.map((c) => c.type).join(", ")}`,
      });
    } else if (connectionsOf(one) < connections) {
      faults.push({
        setting: "database.instanceClass",
        problem: `is ${named}, which takes ${connectionsOf(one)} connections, and ${connections} are needed`,
        remedy: "Take a larger one, or leave it out",
      });
    }
    return one;
  }
  const one = DATABASE_CLASSES.find((c) => connectionsOf(c) >= connections);
  if (!one) {
    faults.push({
      setting: "database.connections",
      problem: `come to ${connections}, more than ${largest.type} takes (${connectionsOf(largest)})`,
      remedy: "Set database.connections to what the agents really open",
    });
  }
  return one;
}

/** Indexes of vectors are about as large as the vectors. */
const INDEX_FACTOR = 2;

function planStorage(
  { users, settings }: DatabaseNeed,
  previous: DatabaseMark | null,
  faults: Fault[],
  notes: string[],
): Pick<DatabasePlan, "storageGiB" | "maxStorageGiB"> {
  const byUsers = Math.ceil((users * settings.knowledgeMiBPerUser * INDEX_FACTOR) / 1024);
  const wanted = settings.storageGiB ?? Math.max(STORAGE_GIB.min, byUsers);
  if (wanted > STORAGE_GIB.max) {
    faults.push({
      setting: "database.knowledgeMiBPerUser",
      problem: `is ${settings.knowledgeMiBPerUser}, which makes ${wanted} GiB for ${users} users; a disk holds ${STORAGE_GIB.max}`,
      remedy: "Lower it, or set database.storageGiB",
    });
  }
  const { storageGiB, note } = keepStorage(wanted, previous?.storageGiB ?? null);
  if (note && settings.storageGiB !== undefined) {
    faults.push({
      setting: "database.storageGiB",
      problem: `is ${wanted}, and the database has ${storageGiB}; RDS never shrinks a disk`,
      remedy: `Set it to ${storageGiB} or more, or leave it out`,
    });
  } else if (note) {
    notes.push(note);
  }
  const maxStorageGiB = Math.min(
    STORAGE_GIB.max,
    Math.max(storageGiB * STORAGE_GROWTH, previous?.maxStorageGiB ?? 0),
  );
  return { storageGiB, maxStorageGiB };
}

/** Part by which the limit of growth must be above a disk's size, or RDS refuses both.
 *  Source: docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIOPS.Autoscaling.html. */
const GROWTH_MIN = 1.1;

/** How far AWS may grow the disk; undefined: not at all, since it is about as large as disks get. */
export function growthLimit(plan: DatabaseMark): number | undefined {
  return plan.maxStorageGiB >= plan.storageGiB * GROWTH_MIN ? plan.maxStorageGiB : undefined;
}

/** The larger of what is wanted and what is there: a disk never shrinks. Says so where that decides. */
export function keepStorage(
  wantedGiB: number,
  previousGiB: number | null,
): { readonly storageGiB: number; readonly note?: string } {
  if (previousGiB === null || wantedGiB >= previousGiB) return { storageGiB: wantedGiB };
  return {
    storageGiB: previousGiB,
    note: `database: ${wantedGiB} GiB would do; it keeps its ${previousGiB} GiB, since RDS never shrinks a disk`,
  };
}

function planProxy(
  connections: number,
  set: boolean | undefined,
  version: string,
  faults: Fault[],
  notes: string[],
): boolean {
  if (!(set ?? connections >= PROXY_FROM_CONNECTIONS)) return false;
  const pair = PROXY_PAIRS.pairs.find((p) => p.major === version);
  if (!pair) {
    const why = set
      ? "is true"
      : `is wanted from ${PROXY_FROM_CONNECTIONS} connections on (${connections} here)`;
    faults.push({
      setting: "database.proxy",
      problem: `${why}, and RDS Proxy is not known to work with PostgreSQL ${version} (it does with ${PROXY_PAIRS.pairs.map((p) => p.major).join(", ")})`,
      remedy: "Set it to false; the class takes the connections itself",
    });
  } else if (!pair.seen && pair.note) {
    notes.push(`database: ${pair.note} (${PROXY_PAIRS.date})`);
  }
  return true;
}

/** The row of `fleet plan`. */
export function tierDatabase(plan: DatabasePlan, region: string): Tier {
  const prices = pricesOf(DATABASE_PRICES, region);
  const copies = plan.multiAz ? 2 : 1;
  const line = (what: string, quantity: number, unit: string, priceUsd: number) => ({
    what,
    quantity,
    unit,
    priceUsd,
  });
  return {
    tier: "database",
    size: `${plan.instanceClass}, ${plan.storageGiB} GiB${plan.proxy ? ", RDS Proxy" : ""}`,
    count: copies,
    why: plan.why,
    survives: plan.multiAz
      ? "a zone: the copy takes over in about a minute"
      : "nothing; without it agents have no knowledge base, and chat goes on",
    costs: prices
      ? [
          line(
            DATABASE_LINES.instance,
            copies * HOURS_A_MONTH,
            "h",
            prices[plan.instanceClass as DatabasePrice],
          ),
          line(DATABASE_LINES.storage, copies * plan.storageGiB, "GB-month", prices.storageGbMonth),
          line(
            DATABASE_LINES.backups,
            (plan.storageGiB * plan.backupDays * DAILY_CHANGE_PERCENT) / 100,
            "GB-month",
            prices.backupGbMonth,
          ),
          ...(plan.proxy
            ? [
                line(
                  DATABASE_LINES.proxy,
                  Math.max(PROXY_MIN_VCPUS, plan.vcpus) * HOURS_A_MONTH,
                  "vCPU-h",
                  prices.proxyVcpuHour,
                ),
              ]
            : []),
          line(DATABASE_LINES.secret, 1, "secret-month", prices.secretMonth),
          line(DATABASE_LINES.logs, plan.users * LOG_GB_PER_USER, "GB", prices.logGb),
        ]
      : [],
  };
}
