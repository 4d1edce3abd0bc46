import { DRAIN } from "../../gateway/contract.ts";
import { COMPILES, type Denial, hardening, WITH_NETLINK } from "../host/hardening.ts";
import { FLEET_USER, type HostPaths } from "../host/types.ts";

export const NODE_UNIT = "openclaw-fleet-node.service";
/** Runs when the node was given up: it failed so often that it is not started any more. */
export const FAILED_UNIT = "openclaw-fleet-node-failed.service";

/** Beyond all turns and hand-overs of a planned stop; then the rest is killed. */
export const STOP_SECONDS = (DRAIN.termTurnsMs + DRAIN.termReleaseMs) / 1_000 + 10;
/** From the program's start to a router that listens; a cold one on a busy small machine took 20 s. */
export const START_SECONDS = 120;
/** Silence of the node after which it hangs; real health feeds it (gateway/keeper/service-manager.ts). */
export const WATCHDOG_SECONDS = 60;

export interface NodeUnit {
  fleet: string;
  node: string;
  paths: HostPaths;
  /** Directory of node.json. */
  dir: string;
  memoryMaxMiB?: number | undefined;
}

/**
 * Besides memory that V8 compiles into: `ProtectControlGroups` (cages are cgroups that the node makes itself),
 * `RestrictNamespaces` without exceptions (the browser tool's sandbox is made of namespaces), and
 * `RestrictSUIDSGID`, which takes `openat2` away as well: OpenClaw keeps its files by that call, and without it
 * ends its first boot with 78 (docs/decisions/216-openat2-on-hosts.md).
 */
const OPENCLAW_NEEDS: readonly Denial[] = [
  ...COMPILES,
  "ProtectControlGroups",
  "RestrictNamespaces",
  "RestrictSUIDSGID",
];

/**
 * `PrivateUsers` is left out for the cages too, and an allow list of system calls because agents run programs
 * that nobody knows beforehand; what no such program needs is refused.
 */
export function nodeUnitText({ fleet, node, paths, dir, memoryMaxMiB }: NodeUnit): string {
  const { release, data } = paths;
  return `[Unit]
Description=Node ${node} of the OpenClaw fleet ${fleet}
# Whatever of these is on this host: the node waits for none of them, it only starts after them.
After=network-online.target time-sync.target openclaw-fleet-etcd.service openclaw-fleet-redis.service
Wants=network-online.target
# Where conversations have a disk of their own, nothing starts without it.
RequiresMountsFor=${data}
StartLimitIntervalSec=300
StartLimitBurst=5
OnFailure=${FAILED_UNIT}

[Service]
Type=notify
# The keeper speaks by systemd-notify, a child of it.
NotifyAccess=all
ExecStart=${release}/bin/node ${release}/runtime/keeper.js --node-dir ${dir} --supervisor ${release}/runtime/node.js
WorkingDirectory=${dir}
User=${FLEET_USER}
Group=${FLEET_USER}
UMask=0077
TimeoutStartSec=${START_SECONDS}
WatchdogSec=${WATCHDOG_SECONDS}
# A stopped process takes no other signal.
WatchdogSignal=SIGKILL
Restart=always
RestartSec=5
# SIGTERM to the keeper alone, which drains; what is left of all its cages is killed.
KillMode=mixed
TimeoutStopSec=${STOP_SECONDS}
# Each gateway is a cgroup of its own below this one, with a limit of its own; its end is not the node's.
Delegate=yes
OOMPolicy=continue
${memoryMaxMiB === undefined ? "" : `MemoryMax=${memoryMaxMiB}M\n`}TasksMax=16384
LimitNOFILE=65536
LimitCORE=0
StandardOutput=journal
StandardError=journal
SyslogIdentifier=openclaw-fleet-node

${hardening({ writes: [data], sockets: WITH_NETLINK, except: OPENCLAW_NEEDS })}
AmbientCapabilities=
ProtectProc=invisible
RestrictNamespaces=user pid net mnt ipc
RemoveIPC=yes
KeyringMode=private
SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}

/**
 * Says loudly what the start limit would only note: nobody starts the node any more.
 * @param alone no other node could take its shards
 */
export function failedUnitText(node: string, alone: boolean): string {
  const said =
    `node ${node} failed 5 times within 300 s and is not started any more. ` +
    `${alone ? "It is the only one: nothing is served" : "The other nodes serve its shards"}. Look at journalctl -u ${NODE_UNIT}; ` +
    `then: systemctl reset-failed ${NODE_UNIT} && systemctl start ${NODE_UNIT}`;
  return `[Unit]
Description=Tells that node ${node} of the OpenClaw fleet was given up

[Service]
Type=oneshot
DynamicUser=yes
ExecStart=/bin/echo '${said}'
SyslogIdentifier=openclaw-fleet-node
SyslogLevel=alert
StandardOutput=journal
`;
}
