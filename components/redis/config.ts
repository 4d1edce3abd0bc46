import { isIP } from "node:net";
import {
  REDIS_ACL,
  REDIS_REPLICATED_SETTINGS,
  REDIS_SERVER_SETTINGS,
  RedisKeys,
} from "../../gateway/sessions/redis-layout.ts";
import type { HostContext, HostPaths } from "../host/types.ts";
import type { RedisMode, RedisServerPlace } from "./layout.ts";
import { QUORUM } from "./layout.ts";

/** Name under which Sentinels know the master. */
export const MASTER_NAME = "fleet";
/** Silence after which others act, ms. The client was measured with 2 s; hosts pause longer than processes. */
const SILENT_MS = 5_000;

/** Users of the servers; each has a password `redis.<name>`. */
export const REDIS_USERS = {
  /** Routers. */
  fleet: "fleet",
  /** Sentinels, among themselves and on servers. */
  sentinel: "sentinel",
  /** A replica on its master. */
  replica: "replica",
  /** Metrics. */
  exporter: "exporter",
  /** Forms and mends a cluster. */
  operator: "operator",
} as const;

export const secretOf = (user: string): string => `{{secret redis.${user}}}`;

export const redisEtc = (paths: HostPaths): string => `${paths.etc}/redis`;
/** Beside the fleet's own data, which only its user may enter. */
export const redisData = (paths: HostPaths): string => `${paths.data}-redis`;

/** Private addresses and loopback: a machine that has one has it itself. */
const PRIVATE =
  /^(10|127|192\.168|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\.|^f[cd][\da-f]*:/i;

/** A server listens on its private address alone; a public one may be a router's that passes on to it. */
function bindOf(address: string): string {
  return isIP(address) > 0 && PRIVATE.test(address) ? address : "* -::*";
}

/** TLS alone, with the copies of the fleet's certificates that Redis's user may read. */
function encrypted(context: HostContext, port: number): string[] {
  const tls = `${redisEtc(context.paths)}/tls`;
  return [
    `bind ${bindOf(context.self.address)}`,
    "port 0",
    `tls-port ${port}`,
    `tls-ca-cert-file ${tls}/ca.pem`,
    `tls-cert-file ${tls}/node.pem`,
    `tls-key-file ${tls}/node.key`,
    'tls-protocols "TLSv1.3"',
    "# Clients prove themselves by user and password; the cluster's own bus asks for certificates anyway.",
    "tls-auth-clients no",
    "tls-replication yes",
    "# Nobody comes in as the default user: it is off.",
    "protected-mode no",
    "daemonize no",
    "supervised systemd",
    'logfile ""',
  ];
}

export interface RedisMemory {
  /** `maxmemory` of each server, MiB. */
  readonly memoryMiB: number;
}

/** redis.conf of one server: what never changes by itself. */
export function serverConfig(
  context: HostContext,
  mode: RedisMode,
  server: RedisServerPlace,
  { memoryMiB }: RedisMemory,
): string {
  const { address } = context.self;
  const named = isIP(address) === 0;
  const etc = redisEtc(context.paths);
  return lines([
    ...encrypted(context, server.port),
    `dir ${serverData(context.paths, server)}`,
    `aclfile ${etc}/users.acl`,
    "",
    `maxmemory ${memoryMiB}mb`,
    ...Object.entries(REDIS_SERVER_SETTINGS).map((setting) => setting.join(" ")),
    "# A master that comes back empty would have its replicas emptied, too. What a power cut takes from the",
    "# file, gateways know: routers compare after every restart. So no answer waits for a disk.",
    "appendonly yes",
    "appendfsync no",
    'save ""',
    "auto-aof-rewrite-min-size 16mb",
    "maxclients 4096",
    "tcp-keepalive 60",
    ...(mode === "single" ? [] : replicated(address)),
    ...(mode === "cluster" ? clustered(address, named) : []),
  ]);
}

function replicated(address: string): string[] {
  return [
    "",
    `masteruser ${REDIS_USERS.replica}`,
    `masterauth ${secretOf(REDIS_USERS.replica)}`,
    `replica-announce-ip ${address}`,
    ...Object.entries(REDIS_REPLICATED_SETTINGS).map((setting) => setting.join(" ")),
    "repl-backlog-size 16mb",
  ];
}

function clustered(address: string, named: boolean): string[] {
  return [
    "",
    "cluster-enabled yes",
    "cluster-config-file nodes.conf",
    `cluster-node-timeout ${SILENT_MS}`,
    "tls-cluster yes",
    "# The parts that are there serve on; a router does without the others.",
    "cluster-require-full-coverage no",
    ...(named
      ? [`cluster-announce-hostname ${address}`, "cluster-preferred-endpoint-type hostname"]
      : [`cluster-announce-ip ${address}`]),
  ];
}

/** Folder of one server's data. */
export const serverData = (paths: HostPaths, { index }: Pick<RedisServerPlace, "index">): string =>
  `${redisData(paths)}/${index + 1}`;

/** What a fleet's user may touch: its own keys, and no channel. */
function ownKeys(fleet: string): string {
  return `~${new RedisKeys(fleet).all}`;
}

/** Users of the servers. The format knows no comments. */
export function serverUsers(fleet: string, mode: RedisMode): string {
  const { fleet: client, sentinel, replica, exporter, operator } = REDIS_USERS;
  const user = (name: string, rules: string) =>
    `user ${name} on >${secretOf(name)} resetkeys resetchannels -@all ${rules}`;
  return lines([
    // Off: nobody can be it. Its rights are those under which Redis 7.0 reads transactions back from its file
    // after a restart; without them what scripts wrote is lost.
    "user default off resetpass ~* &* +@all",
    user(client, `${ownKeys(fleet)} ${REDIS_ACL}`),
    user(
      exporter,
      "+ping +info +config|get +slowlog|get +slowlog|len +latency|latest +cluster|info",
    ),
    // Whether it lives may be asked by anybody who reaches it; that is all this one can do.
    "user health on nopass resetkeys resetchannels -@all +ping +cluster|info",
    ...(mode === "single" ? [] : [user(replica, "+psync +replconf +ping")]),
    ...(mode === "sentinel"
      ? [
          user(
            sentinel,
            "&* +multi +exec +slaveof +ping +subscribe +publish +role +info +config|rewrite +client|setname +client|kill +script|kill",
          ),
        ]
      : []),
    ...(mode === "cluster" ? [user(operator, "+cluster +info +ping")] : []),
  ]);
}

/** sentinel.conf: what does not change by itself. `@MASTER@` is put in at each start. */
export function sentinelConfig(context: HostContext): string {
  const { self, ports, paths } = context;
  const named = context.hosts.some(({ address }) => isIP(address) === 0);
  return lines([
    ...encrypted(context, ports.sentinel),
    `dir ${redisData(paths)}/sentinel`,
    `aclfile ${redisEtc(paths)}/sentinel-users.acl`,
    `sentinel announce-ip ${self.address}`,
    `sentinel announce-port ${ports.sentinel}`,
    ...(named ? ["sentinel resolve-hostnames yes", "sentinel announce-hostnames yes"] : []),
    `sentinel sentinel-user ${REDIS_USERS.sentinel}`,
    `sentinel sentinel-pass ${secretOf(REDIS_USERS.sentinel)}`,
    `sentinel monitor ${MASTER_NAME} @MASTER@ ${ports.redis} ${QUORUM}`,
    `sentinel auth-user ${MASTER_NAME} ${REDIS_USERS.sentinel}`,
    `sentinel auth-pass ${MASTER_NAME} ${secretOf(REDIS_USERS.sentinel)}`,
    `sentinel down-after-milliseconds ${MASTER_NAME} ${SILENT_MS}`,
    `sentinel failover-timeout ${MASTER_NAME} 30000`,
    "# All replicas copy at once: what is kept is small, and a master without one takes no writes.",
    `sentinel parallel-syncs ${MASTER_NAME} 2`,
  ]);
}

export function sentinelUsers(): string {
  const { fleet, sentinel, exporter } = REDIS_USERS;
  const looks =
    "+ping +info +role +sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters +sentinel|replicas +sentinel|slaves +sentinel|sentinels";
  return lines([
    "user default off resetkeys resetchannels -@all",
    `user ${fleet} on >${secretOf(fleet)} &* -@all ${looks} +subscribe +psubscribe +unsubscribe +punsubscribe +client|setname`,
    `user ${exporter} on >${secretOf(exporter)} resetchannels -@all ${looks} +sentinel|ckquorum`,
    `user ${sentinel} on >${secretOf(sentinel)} allchannels +@all`,
    "user health on nopass resetchannels -@all +ping +sentinel|get-master-addr-by-name +sentinel|ckquorum",
  ]);
}

const lines = (all: readonly string[]): string => `${all.join("\n")}\n`;
