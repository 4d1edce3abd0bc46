import { endpoint } from "../../gateway/address.ts";
import { hardening } from "../host/hardening.ts";
import {
  type HostCheck,
  type HostContext,
  type HostDirectory,
  type HostFile,
  type HostPart,
  type HostUnit,
  OPEN_DIRECTORY,
  UNIT_ORDER,
} from "../host/types.ts";
import { clusterPart } from "./cluster.ts";
import {
  MASTER_NAME,
  REDIS_USERS,
  redisData,
  redisEtc,
  secretOf,
  sentinelConfig,
  sentinelUsers,
  serverConfig,
  serverData,
  serverUsers,
} from "./config.ts";
import {
  REDIS_USER,
  type RedisLayout,
  type RedisMode,
  type RedisServerPlace,
  redisLayout,
} from "./layout.ts";
import { prepareScript } from "./prepare.ts";

export interface RedisSettings {
  readonly mode: RedisMode;
  /** `maxmemory` of each server, MiB. @default 256 */
  readonly memoryMiB?: number | undefined;
}

/** 165 bytes a session and up to a MiB an answer (decision 166): 100,000 sessions and 130 of the largest answers. */
const MEMORY_MIB = 256;
/** A Sentinel remembers names alone. */
const SENTINEL_MIB = 128;

/** Most that one server takes: twice, for a rewrite of its file beside all that changes meanwhile, and for replicas that copy. */
const serverMiB = (memoryMiB: number): number => 2 * memoryMiB + 128;

/** Most memory that Redis and Sentinel take together on a host, MiB: what their units are limited to. */
export function redisMemoryMiB(
  { servers, sentinels }: RedisLayout,
  host: string,
  memoryMiB = MEMORY_MIB,
): number {
  const here = servers.filter((server) => server.host.name === host).length;
  const watches = sentinels.some(({ name }) => name === host);
  return here * serverMiB(memoryMiB) + (watches ? SENTINEL_MIB : 0);
}

export const SENTINEL_UNIT = "openclaw-fleet-sentinel.service";
/** Unit of a host's nth server. */
export const redisUnit = (index: number): string =>
  `openclaw-fleet-redis${index === 0 ? "" : `-${index + 1}`}.service`;

const PROGRAM = "/usr/bin/redis-server";
const ANSWER_SECONDS = 60;
/** Servers that restart, and Sentinels or a cluster that agree. */
const AGREE_SECONDS = 180;

/** Names of the passwords that must be made, for the stack's credentials. */
export function redisPasswords(mode: RedisMode): string[] {
  const { fleet, exporter, replica, sentinel, operator } = REDIS_USERS;
  const more = { single: [], sentinel: [replica, sentinel], cluster: [replica, operator] }[mode];
  return [fleet, exporter, ...more].map((user) => `redis.${user}`);
}

/**
 * Where clients find a Redis of several servers, for stores.json: its Sentinels, or all servers of the cluster. A single
 * server's address is in `redisUrl`: without it there is nobody to ask where it went.
 */
export function redisAddresses(context: HostContext, mode: RedisMode): string[] | undefined {
  const { servers, sentinels } = redisLayout(context.hosts, context.ports, mode);
  switch (mode) {
    case "single":
      return undefined;
    case "cluster":
      return servers.map(({ host, port }) => endpoint(host.address, port));
    case "sentinel":
      return sentinels.map(({ address }) => endpoint(address, context.ports.sentinel));
  }
}

/** Address of the fleet's Redis for `redisUrl` in node.json, with marks for secrets and for its addresses. */
export function redisUrl(context: HostContext, mode: RedisMode): string {
  const who = `${REDIS_USERS.fleet}:${secretOf(REDIS_USERS.fleet)}`;
  const ca = `ca=${encodeURIComponent(`${context.paths.tls}/ca.pem`)}`;
  switch (mode) {
    case "single": {
      const { servers } = redisLayout(context.hosts, context.ports, mode);
      const at = servers.map(({ host, port }) => endpoint(host.address, port)).join(",");
      return `rediss://${who}@${at}/0?${ca}`;
    }
    case "cluster":
      return `rediss+cluster://${who}@{redis}?${ca}`;
    case "sentinel": {
      const also = `sentinel-user=${REDIS_USERS.fleet}&sentinel-password=${secretOf(REDIS_USERS.fleet)}`;
      return `rediss+sentinel://${who}@{redis}/${MASTER_NAME}?${ca}&${also}`;
    }
  }
}

/** Redis on one host; nothing where none is to be. */
export function planRedis(context: HostContext, settings: RedisSettings): HostPart {
  const { mode, memoryMiB = MEMORY_MIB } = settings;
  const { paths, self } = context;
  const layout = redisLayout(context.hosts, context.ports, mode);
  const servers = layout.servers.filter(({ host }) => host.name === self.name);
  const sentinel = layout.sentinels.some(({ name }) => name === self.name);
  if (servers.length === 0 && !sentinel) return {};
  const etc = redisEtc(paths);
  const data = redisData(paths);
  const prepare = mode === "sentinel" ? `${etc}/prepare.sh` : null;
  const units: Record<string, HostUnit> = {
    "redis-server.service": { state: "disabled", order: UNIT_ORDER.sessions - 1 },
  };
  const files: Record<string, HostFile> = { ...certificates(context, etc) };
  const directories: Record<string, HostDirectory> = {
    [paths.etc]: OPEN_DIRECTORY,
    [etc]: { owner: "root", group: REDIS_USER, mode: "0750" },
    [`${etc}/tls`]: { owner: "root", group: REDIS_USER, mode: "0750" },
    // Not kept when the fleet goes: gateways know every session.
    [data]: { owner: REDIS_USER, group: REDIS_USER, mode: "0750" },
  };
  const checks: Record<string, HostCheck> = {};
  const secret = (content: string): HostFile => ({
    content,
    owner: "root",
    group: REDIS_USER,
    mode: "0640",
  });
  const certificateFiles = Object.keys(files);
  if (prepare) {
    files[prepare] = {
      content: prepareScript(context, layout),
      owner: "root",
      group: REDIS_USER,
      mode: "0750",
    };
  }
  if (servers.length > 0) files[`${etc}/users.acl`] = secret(serverUsers(context.fleet, mode));
  for (const server of servers) {
    const planned = configPath(etc, server);
    const folder = serverData(paths, server);
    directories[folder] = { owner: REDIS_USER, group: REDIS_USER, mode: "0700" };
    files[planned] = secret(serverConfig(context, mode, server, { memoryMiB }));
    units[redisUnit(server.index)] = {
      content: unitText({
        what: `Sessions and stored answers of the OpenClaw fleet (Redis ${server.index + 1})`,
        prepare: prepare ? `${prepare} server` : null,
        start: `${PROGRAM} ${prepare ? `${folder}/redis.conf` : planned}`,
        writes: folder,
        memoryMiB: serverMiB(memoryMiB),
      }),
      state: "enabled",
      order: UNIT_ORDER.sessions,
      restartOn: [planned, `${etc}/users.acl`, ...certificateFiles, ...(prepare ? [prepare] : [])],
    };
    checks[`Redis ${server.index + 1} answers`] = {
      argv: [...cli(context, server.port), "PING"],
      deadlineSeconds: ANSWER_SECONDS,
      remedy: `Look at journalctl -u ${redisUnit(server.index)}`,
    };
  }
  if (sentinel) {
    const folder = `${data}/sentinel`;
    directories[folder] = { owner: REDIS_USER, group: REDIS_USER, mode: "0700" };
    files[`${etc}/sentinel.conf`] = secret(sentinelConfig(context));
    files[`${etc}/sentinel-users.acl`] = secret(sentinelUsers());
    units[SENTINEL_UNIT] = {
      content: unitText({
        what: "Chooses the master among the OpenClaw fleet's Redis servers (Sentinel)",
        prepare: `${prepare} sentinel`,
        start: `${PROGRAM} ${folder}/sentinel.conf --sentinel`,
        writes: folder,
        memoryMiB: SENTINEL_MIB,
      }),
      state: "enabled",
      order: UNIT_ORDER.sessions + 1,
      restartOn: [
        `${etc}/sentinel.conf`,
        `${etc}/sentinel-users.acl`,
        ...certificateFiles,
        ...(prepare ? [prepare] : []),
      ],
    };
    checks["Sentinels agree"] = {
      argv: [...cli(context, context.ports.sentinel), "SENTINEL", "CKQUORUM", MASTER_NAME],
      deadlineSeconds: AGREE_SECONDS,
      needsFleet: true,
      remedy: `Look at journalctl -u ${SENTINEL_UNIT} on every host, and whether they reach each other on port ${context.ports.sentinel}`,
    };
  }
  const cluster = mode === "cluster" ? clusterPart(context, layout, cli) : {};
  return {
    packages: ["redis-server"],
    users: { [REDIS_USER]: { home: data } },
    directories: { ...directories, ...cluster.directories },
    files: { ...files, ...cluster.files },
    units: { ...units, ...cluster.units },
    checks: { ...checks, ...cluster.checks },
  };
}

const configPath = (etc: string, { index }: RedisServerPlace): string =>
  `${etc}/redis${index === 0 ? "" : `-${index + 1}`}.conf`;

/** Copies of the host's certificates that Redis's user may read. */
function certificates({ self }: HostContext, etc: string): Record<string, HostFile> {
  const file = (content: string): HostFile => ({
    content,
    owner: "root",
    group: REDIS_USER,
    mode: "0640",
  });
  return {
    [`${etc}/tls/ca.pem`]: file("{{secret tls.ca}}"),
    [`${etc}/tls/node.pem`]: file(`{{secret tls.${self.name}.cert}}`),
    [`${etc}/tls/node.key`]: file(`{{secret tls.${self.name}.key}}`),
  };
}

/** Asks a server of this host as somebody who may only ask. */
function cli({ self, paths }: HostContext, port: number): string[] {
  return [
    ...["/usr/bin/redis-cli", "--tls", "--cacert", `${redisEtc(paths)}/tls/ca.pem`],
    ...["-h", self.address, "-p", String(port)],
    ...["--user", "health", "--pass", "-", "--no-auth-warning", "-e"],
  ];
}

interface UnitText {
  what: string;
  prepare: string | null;
  start: string;
  writes: string;
  memoryMiB: number;
}

function unitText({ what, prepare, start, writes, memoryMiB }: UnitText): string {
  return `[Unit]
Description=${what}
After=network-online.target
Wants=network-online.target
Conflicts=redis-server.service

[Service]
Type=notify
User=${REDIS_USER}
Group=${REDIS_USER}
${prepare ? `ExecStartPre=${prepare}\n` : ""}ExecStart=${start}
Restart=always
RestartSec=1
TimeoutStartSec=120
TimeoutStopSec=30
LimitNOFILE=65536
# A file that is rewritten doubles what is held, at worst.
MemoryMax=${memoryMiB}M
OOMScoreAdjust=-500
${hardening({ writes: writes.split(" ") })}
UMask=0077

[Install]
WantedBy=multi-user.target
`;
}
