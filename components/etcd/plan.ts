import { isIP } from "node:net";
import { endpoint } from "../../gateway/address.ts";
import type { MemberFile } from "../../gateway/etcd/member-file.ts";
import { COMPILES, hardening } from "../host/hardening.ts";
import {
  type HostContext,
  type HostFacts,
  type HostFile,
  type HostPart,
  type HostPaths,
  OPEN_DIRECTORY,
  UNIT_ORDER,
} from "../host/types.ts";

export interface EtcdSettings {
  /** Names of the hosts with a member, from {@link etcdMembers}. */
  readonly members: readonly string[];
  /** Address to listen on. @default every address of the host: both ports ask for the fleet's certificates */
  readonly listen?: string;
  /** Snapshots kept on each host, one an hour; 0: none. @default 24 */
  readonly snapshots?: number;
}

/** Runs etcd; not `etcd`, which Debian's package would claim. */
export const ETCD_USER = "openclaw-etcd";
export const ETCD_UNIT = "openclaw-fleet-etcd.service";
export const ETCD_TEND_UNIT = "openclaw-fleet-etcd-tend.service";
export const ETCD_TEND_TIMER = "openclaw-fleet-etcd-tend.timer";

/** A day of hourly snapshots, a few MiB each. */
const SNAPSHOTS = 24;
/**
 * Largest database, bytes. Ten minutes of a fleet of five nodes and forty shards are about 60 MiB (a node
 * writes its leases every 2 s, 1 KiB each); with what defragmentation has not given back yet, far below.
 */
const QUOTA_BYTES = 512 * 2 ** 20;
/** Old revisions are of no use: nobody reads the past. */
const KEEP_HISTORY = "10m";
/** A renewal is one transaction: two operations for each shard that a node may hold (1,024), and a few more. */
const MAX_TXN_OPS = 2_200;
/** A member that joined has its vote after half a minute; a loaded machine takes longer to elect. */
const HEALTHY_SECONDS = 180;
/** Decides whether to begin or to join; waits this long for hosts that do not answer, s (gateway/etcd/prepare.ts). */
const START_SECONDS = 180;

/** Where the member of a host keeps everything. */
export const etcdHome = (paths: HostPaths): string => `${paths.data}-etcd`;

/** How many members a fleet on so many hosts gets. */
export const etcdVoters = (hosts: number): number => (hosts >= 5 ? 5 : hosts >= 3 ? 3 : 1);

/**
 * Which hosts get a member: an odd number, so that each one counts. Three of three or four, five of more;
 * one of one or two, because two members stop when either does. A witness is there to vote and comes first.
 */
export function etcdMembers(hosts: readonly HostFacts[]): string[] {
  const count = etcdVoters(hosts.length);
  // A single vote belongs beside a node: a witness alone could only add its own failures.
  const last = count === 1;
  const ranked = [...hosts].sort((a, b) => rank(a, last) - rank(b, last));
  const chosen = new Set(ranked.slice(0, count).map(({ name }) => name));
  return hosts.map(({ name }) => name).filter((name) => chosen.has(name));
}

const rank = ({ witness = false }: HostFacts, last: boolean): number => Number(witness === last);

/** How many hosts with a member may fail at once. */
export const etcdSurvives = (members: readonly string[]): number =>
  Math.floor((members.length - 1) / 2);

/** Client URLs for a node on this host, its own member first. */
export function etcdEndpoints(
  { self, hosts, ports }: HostContext,
  { members }: EtcdSettings,
): string[] {
  const chosen = hosts.filter(({ name }) => members.includes(name));
  const own = chosen.filter(({ name }) => name === self.name);
  const others = chosen.filter(({ name }) => name !== self.name);
  return [...own, ...others].map(({ address }) => `https://${endpoint(address, ports.etcdClient)}`);
}

const membersPathOf = (paths: HostPaths): string => `${paths.etc}/etcd/members.json`;

/** Command line of what a host does for its member (gateway/etcd/main.ts). */
export const etcdProgram = (paths: HostPaths, command: string): string[] => [
  `${paths.release}/bin/node`,
  `${paths.release}/runtime/etcd.js`,
  command,
  membersPathOf(paths),
];

/** The member of etcd on one host; nothing where none is to be. */
export function planEtcd(context: HostContext, settings: EtcdSettings): HostPart {
  const { paths, self } = context;
  if (!settings.members.includes(self.name)) return {};
  const home = etcdHome(paths);
  const etc = `${paths.etc}/etcd`;
  const membersPath = membersPathOf(paths);
  const configPath = `${etc}/etcd.json`;
  const caPath = `${etc}/ca.pem`;
  const file = (content: string): HostFile => ({
    content,
    owner: "root",
    group: ETCD_USER,
    mode: "0640",
  });
  const program = (command: string) => etcdProgram(paths, command).join(" ");
  return {
    users: { [ETCD_USER]: { home } },
    directories: {
      [paths.etc]: OPEN_DIRECTORY,
      [etc]: { owner: "root", group: ETCD_USER, mode: "0750" },
      [home]: { owner: ETCD_USER, group: ETCD_USER, mode: "0700", data: true },
    },
    files: {
      [configPath]: file(json(etcdConfig(context, settings))),
      [membersPath]: file(json(membersFile(context, settings, configPath))),
      [caPath]: file("{{secret tls.ca}}"),
      [`${etc}/member.pem`]: file(`{{secret tls.${self.name}.cert}}`),
      [`${etc}/member.key`]: file(`{{secret tls.${self.name}.key}}`),
    },
    units: {
      [ETCD_UNIT]: {
        content: serviceText(paths, program),
        state: "enabled",
        order: UNIT_ORDER.store,
        // Certificates are read with each connection, the authority once.
        restartOn: [configPath, caPath],
        leave: etcdProgram(paths, "leave"),
      },
      [ETCD_TEND_UNIT]: {
        content: tendText(home, program),
        state: "triggered",
        order: UNIT_ORDER.store + 1,
      },
      [ETCD_TEND_TIMER]: { content: TIMER, state: "enabled", order: UNIT_ORDER.store + 2 },
    },
    checks: {
      "etcd has a majority": {
        argv: program("health").split(" "),
        deadlineSeconds: HEALTHY_SECONDS,
        // A single member is its own majority.
        ...(settings.members.length > 1 ? { needsFleet: true } : {}),
        remedy: `see \`journalctl -u ${ETCD_UNIT}\` on ${self.name} and on the other members: ${settings.members.join(", ")}`,
      },
    },
  };
}

/** etcd's own settings, without who its cluster is: that is found out at each start. */
function etcdConfig(context: HostContext, settings: EtcdSettings): Record<string, unknown> {
  const { fleet, self, paths, ports } = context;
  const any = isIP(self.address) === 6 ? "::" : "0.0.0.0";
  const { listen = any } = settings;
  const here = (address: string, port: number) => `https://${endpoint(address, port)}`;
  const etc = `${paths.etc}/etcd`;
  const tls = {
    "trusted-ca-file": `${etc}/ca.pem`,
    "cert-file": `${etc}/member.pem`,
    "key-file": `${etc}/member.key`,
    "client-cert-auth": true,
  };
  return {
    name: self.name,
    "data-dir": `${etcdHome(paths)}/data`,
    "listen-client-urls": here(listen, ports.etcdClient),
    "advertise-client-urls": here(self.address, ports.etcdClient),
    "listen-peer-urls": here(listen, ports.etcdPeer),
    "initial-advertise-peer-urls": here(self.address, ports.etcdPeer),
    "initial-cluster-token": `openclaw-fleet-${fleet}`,
    "strict-reconfig-check": true,
    "client-transport-security": tls,
    // A host behind address translation calls from another address than its certificate names; the
    // authority signs for nobody but this fleet's hosts.
    "peer-transport-security": { ...tls, "skip-client-san-verification": true },
    "tls-min-version": "TLS1.3",
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": KEEP_HISTORY,
    "quota-backend-bytes": QUOTA_BYTES,
    "max-txn-ops": MAX_TXN_OPS,
    "log-level": "warn",
  };
}

function membersFile(context: HostContext, settings: EtcdSettings, config: string): MemberFile {
  const { hosts, self, paths, ports } = context;
  const etc = `${paths.etc}/etcd`;
  return {
    self: self.name,
    members: hosts
      .filter(({ name }) => settings.members.includes(name))
      .map(({ name, address }) => ({
        name,
        peerUrl: `https://${endpoint(address, ports.etcdPeer)}`,
        clientUrl: `https://${endpoint(address, ports.etcdClient)}`,
      })),
    tls: { ca: `${etc}/ca.pem`, cert: `${etc}/member.pem`, key: `${etc}/member.key` },
    home: etcdHome(paths),
    config,
    startConfig: START_CONFIG,
    etcdctl: `${paths.release}/bin/etcdctl`,
    snapshots: settings.snapshots ?? SNAPSHOTS,
  };
}

const RUN = "openclaw-fleet-etcd";
const START_CONFIG = `/run/${RUN}/etcd.json`;

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/** What both units may do: talk to the network and write into their home. */
const rights = (home: string) => `User=${ETCD_USER}
Group=${ETCD_USER}
UMask=0077
${hardening({ writes: [home], except: COMPILES })}
ProtectProc=invisible
RemoveIPC=yes
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM`;

/**
 * `Type=exec`: etcd reports readiness once it has a majority. A host that is changed must not hang on the
 * members of others, since those may wait for their turn. Whether it serves is a check of the host.
 */
function serviceText(paths: HostPaths, program: (command: string) => string): string {
  return `[Unit]
Description=Ownership of the OpenClaw fleet's shards (etcd)
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStartPre=${program("prepare")}
ExecStart=${paths.release}/bin/etcd --config-file=${START_CONFIG}
Restart=always
RestartSec=2
TimeoutStartSec=${START_SECONDS}
TimeoutStopSec=30
RuntimeDirectory=${RUN}
RuntimeDirectoryMode=0750
LimitNOFILE=65536
OOMScoreAdjust=-500
CPUWeight=500
IOWeight=500
MemoryMax=2G
${rights(etcdHome(paths))}

[Install]
WantedBy=multi-user.target
`;
}

function tendText(home: string, program: (command: string) => string): string {
  return `[Unit]
Description=Care for the OpenClaw fleet's etcd
After=${ETCD_UNIT}

[Service]
Type=oneshot
ExecStart=${program("tend")}
TimeoutStartSec=300
Nice=10
${rights(home)}
`;
}

const TIMER = `[Unit]
Description=Care for the OpenClaw fleet's etcd, every half minute

[Timer]
OnActiveSec=15
OnUnitInactiveSec=30
AccuracySec=5

[Install]
WantedBy=timers.target
`;
