import { readFileSync, statSync } from "node:fs";
import { z } from "zod";
import type { NodeId, ShardId } from "../contract.ts";
import { rank } from "../placement.ts";
import { FileTarget } from "./file-target.ts";
import type { OpenSites } from "./open.ts";
import type { SftpTargetConfig } from "./settings.ts";
import { SftpConnection } from "./sftp-connection.ts";
import { SftpFiles } from "./sftp-files.ts";
import type { Site } from "./sites.ts";
import { type ReplicaTarget, type StoredObject, TargetUnavailable } from "./target.ts";

/**
 * Hosts that keep each other's replicas, over SFTP: one connection a host. A node reads its own host's replicas
 * the same way, since they belong to another user.
 */
export class PeerSites implements OpenSites {
  readonly #config: SftpTargetConfig;
  readonly #hosts: () => Hosts;
  readonly #self: NodeId;
  readonly #within: (target: ReplicaTarget) => ReplicaTarget;
  readonly #connections = new Map<NodeId, { address: string; connection: SftpConnection }>();
  readonly #targets = new Map<string, ReplicaTarget>();
  #preferred: Record<ShardId, readonly NodeId[]> = {};

  constructor(
    config: SftpTargetConfig,
    self: NodeId,
    within: (target: ReplicaTarget) => ReplicaTarget = (target) => target,
  ) {
    this.#config = config;
    this.#hosts =
      typeof config.hosts === "string" ? hostsIn(config.hosts) : () => config.hosts as Hosts;
    this.#self = self;
    this.#within = within;
  }

  prefer(preferred: Record<ShardId, readonly NodeId[]>): void {
    this.#preferred = preferred;
  }

  /** Never this node's own host: what is lost with it would be lost twice. */
  preferred(shard: ShardId): readonly Site[] {
    const others = Object.keys(this.#hosts()).filter((host) => host !== this.#self);
    const told = (this.#preferred[shard] ?? []).filter((host) => others.includes(host));
    return [...new Set([...told, ...rank(shard, others)])];
  }

  source(shard: ShardId, site: Site): ReplicaTarget {
    if (site !== null && site in this.#hosts()) return this.target(shard, site);
    return everywhere(this.all(shard).map(([, target]) => target));
  }

  target(shard: ShardId, site: Site): ReplicaTarget {
    const host = site as NodeId;
    this.#followHosts();
    const key = `${host} ${shard}`;
    const known = this.#targets.get(key);
    if (known) return known;
    const files = new SftpFiles(this.#connection(host), `${this.#config.folder}/${shard}`);
    const target = this.#within(new FileTarget(`the replica of ${shard} on ${host}`, files));
    this.#targets.set(key, target);
    return target;
  }

  all(shard: ShardId): [NodeId, ReplicaTarget][] {
    return Object.keys(this.#hosts())
      .sort()
      .map((host) => [host, this.target(shard, host)]);
  }

  async close(): Promise<void> {
    for (const { connection } of this.#connections.values()) connection.close();
  }

  #connection(host: NodeId): SftpConnection {
    const known = this.#connections.get(host);
    if (known) return known.connection;
    const { port, user, identityFile, knownHostsFile } = this.#config;
    const address = this.#hosts()[host] ?? "";
    const connection = new SftpConnection({ address, port, user, identityFile, knownHostsFile });
    this.#connections.set(host, { address, connection });
    return connection;
  }

  /** Ends connections to hosts that left or are somewhere else now; whoever uses one of them hears of it. */
  #followHosts(): void {
    const hosts = this.#hosts();
    for (const [host, { address, connection }] of this.#connections) {
      // One that is on no list was asked for by a position: it has no address to change.
      if ((hosts[host] ?? "") === address) continue;
      connection.close();
      this.#connections.delete(host);
      for (const key of this.#targets.keys()) {
        if (key.startsWith(`${host} `)) this.#targets.delete(key);
      }
    }
  }
}

type Hosts = Readonly<Record<NodeId, string>>;

const hostsShape = z.record(z.string(), z.string());

/** What a file says of the hosts, whenever it is asked; what it said before while it is no good. Throws at first. */
function hostsIn(path: string): () => Hosts {
  const read = (): Hosts => hostsShape.parse(JSON.parse(readFileSync(path, "utf8")));
  const look = (): string => {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat ? `${stat.ino}:${stat.size}:${stat.mtimeNs}` : "";
  };
  let seen = look();
  let hosts = read();
  return () => {
    const now = look();
    if (now === seen) return hosts;
    try {
      hosts = read();
      seen = now;
    } catch {
      // It is being written: the next look finds it whole.
    }
    return hosts;
  };
}

/**
 * All targets as one, for whoever does not know which of them has the newest. Nothing is said of what they
 * hold unless all could be asked; what is written goes to each.
 */
export function everywhere(targets: readonly ReplicaTarget[]): ReplicaTarget {
  return {
    name: targets.map(({ name }) => name).join(", "),
    refusesOldEpochs: targets.every(({ refusesOldEpochs }) => refusesOldEpochs),
    async put(key, bytes, epoch) {
      const outcomes = await Promise.all(targets.map((target) => target.put(key, bytes, epoch)));
      return outcomes.includes("stored") ? "stored" : "exists";
    },
    async get(key) {
      let fault: unknown = null;
      for (const target of targets) {
        try {
          const bytes = await target.get(key);
          if (bytes) return bytes;
        } catch (error) {
          if (!(error instanceof TargetUnavailable)) throw error;
          fault ??= error;
        }
      }
      if (fault) throw fault;
      return null;
    },
    async list(prefix) {
      const lists = await Promise.all(targets.map((target) => target.list(prefix)));
      const found = new Map<string, StoredObject>();
      for (const object of lists.flat()) if (!found.has(object.key)) found.set(object.key, object);
      return [...found.values()];
    },
    async remove(keys, epoch) {
      await Promise.all(targets.map((target) => target.remove(keys, epoch)));
    },
  };
}
