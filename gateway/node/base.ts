import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { bootId } from "../clock.ts";
import type { FleetConfig, NodeConfig } from "../config.ts";
import { EXTEND_FD } from "../keeper/client.ts";
import { LeaseAgent } from "../leases/agent.ts";
import { createLogger, type Logger } from "../observe/log.ts";
import { createMetrics } from "../observe/metrics.ts";
import { COMPILE_CACHE_DIR, openCompileCache } from "../openclaw/compile-cache.ts";
import { FleetTls } from "../router/fleet-tls.ts";
import { openSessionStore } from "../sessions/open.ts";
import type { SessionStore } from "../sessions/store.ts";
import { StoresFile } from "../stores-file.ts";
import { FleetConfigFile } from "../supervisor/config-file.ts";
import { ReleaseShelf } from "../supervisor/releases.ts";
import { noteIncarnation } from "./incarnations.ts";
import { type Place, placeOf } from "./place.ts";
import { HistoryWriter } from "./reporting.ts";

const STORES_FILE = "stores.json";

/** What a node stands on: its files, its stores, its log. Knows nothing of shards and requests. */
export class NodeBase {
  readonly node: NodeConfig;
  readonly incarnation = randomBytes(8).toString("hex");
  readonly boot = bootId();
  readonly place: Place;
  /** Null where the stores are files of this machine. */
  readonly stores: StoresFile | null;
  /** Incarnations that were started in this directory; null where all nodes are on this machine. */
  readonly startedHere: ReadonlySet<string> | null;
  /** Null on one machine, where nodes talk plainly. */
  readonly tls: FleetTls | null;
  readonly log: Logger;
  readonly metrics = createMetrics();
  readonly file: FleetConfigFile;
  readonly leases: LeaseAgent;
  readonly sessions: SessionStore;
  readonly shelf: ReleaseShelf;
  readonly history: HistoryWriter;
  readonly compileCache: string | null;

  /** @param onSettings the fleet's settings changed; never called before {@link FleetConfigFile.watch} */
  constructor(node: NodeConfig, onSettings: () => void) {
    const { id, dataDir } = node;
    this.node = node;
    this.log = createLogger({ instanceId: id });
    const log = {
      info: (message: string) => this.log.info(message),
      warn: (message: string) => this.log.warn(message),
      error: (message: string) => this.log.error(message),
    };
    const stores = join(dataDir, "nodes", id, STORES_FILE);
    this.stores = existsSync(stores) ? new StoresFile(stores, { warn: log.warn }) : null;
    this.place = placeOf(node, this.stores);
    this.startedHere = this.place.sameMachine
      ? null
      : noteIncarnation(join(dataDir, "nodes", id), this.incarnation);
    this.tls = node.tls ? new FleetTls({ files: node.tls, log }) : null;
    this.shelf = new ReleaseShelf(dataDir);
    this.shelf.put(node.release);
    this.file = new FleetConfigFile(dataDir, { change: onSettings, fault: log.error });
    const { viewEveryMs } = this.place;
    this.leases = new LeaseAgent({
      store: this.place.leases,
      extendFd: EXTEND_FD,
      ...(viewEveryMs === undefined ? {} : { timings: { viewEveryMs } }),
    });
    this.sessions = openSessionStore({
      redisUrl: node.redisUrl,
      redisAddresses: () => this.stores?.current.redis ?? [],
      fleet: this.file.current.fleet,
      dataDir,
      log,
    });
    this.history = new HistoryWriter(id, (entries) => this.leases.appendHistory(entries));
    const cache = join(dataDir, COMPILE_CACHE_DIR);
    this.compileCache = openCompileCache(cache);
    if (this.compileCache === null) {
      log.warn(`${cache} is not a directory of this user alone: gateways start some 4 s slower`);
    }
  }

  /** The fleet's settings in force. */
  get fleet(): FleetConfig {
    return this.file.current;
  }

  /** For what logs with fields first. */
  readonly logWith = (
    level: "debug" | "info" | "warn" | "error",
    msg: string,
    fields: Record<string, unknown> = {},
  ): void => this.log[level](fields, msg);
}
