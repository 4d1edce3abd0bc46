import type { NodeConfig } from "../../gateway/config.ts";
import { type Denial, hardening, WITH_NETLINK } from "../host/hardening.ts";
import {
  FLEET_USER,
  type HostContext,
  type HostFacts,
  type HostFile,
  type HostPart,
  type HostPaths,
  OPEN_DIRECTORY,
  UNIT_ORDER,
} from "../host/types.ts";

export const REPLICAS_UNIT = "openclaw-fleet-replicas.service";
/** Owns the replicas that other hosts bring; it can do nothing else. */
const REPLICA_USER = "openclaw-replica";
/** The folder of all replicas, as the SFTP server names it. */
const FOLDER = "/files";
/** sshd becomes another user and enters a chroot at each login; its own rules hold for what comes after. */
const LOGINS: readonly Denial[] = [
  "NoNewPrivileges",
  "ProtectHostname",
  "RestrictNamespaces",
  "RestrictSUIDSGID",
  "SystemCallArchitectures",
];

/** Hosts that keep replicas: those that run shards. None where there is no second one. */
function replicaHosts(hosts: readonly HostFacts[]): readonly HostFacts[] {
  const keeping = hosts.filter(({ witness }) => !witness);
  return keeping.length > 1 ? keeping : [];
}

/** Names of the SSH keys that the fleet's credentials must have: each host's own as a client, and as a server. */
export function replicaKeys(hosts: readonly HostFacts[]): string[] {
  return replicaHosts(hosts).flatMap(({ name }) => [`sftp.${name}`, `sftp.${name}.host`]);
}

/** What node.json says of it; undefined where nobody else could keep a replica. */
export function replicationOf(context: HostContext): NodeConfig["replication"] {
  const hosts = replicaHosts(context.hosts);
  if (!hosts.some(({ name }) => name === context.self.name)) return undefined;
  const files = filesOf(context.paths);
  return {
    target: {
      kind: "sftp",
      // A file of its own, followed: the node goes on when hosts come and go.
      hosts: files.hosts,
      port: context.ports.sftp,
      user: REPLICA_USER,
      identityFile: files.clientKey,
      knownHostsFile: files.knownHosts,
      folder: FOLDER,
    },
  };
}

/**
 * The host as a place for the replicas of other hosts' shards: an SSH server of its own that gives each of
 * them SFTP in one folder, and nothing else. The host's own SSH server and its settings are left alone.
 */
export function planReplicaTarget(context: HostContext): HostPart {
  const hosts = replicaHosts(context.hosts);
  const { self, paths, ports } = context;
  if (!hosts.some(({ name }) => name === self.name)) return {};
  const files = filesOf(paths);
  const chroot = chrootOf(paths);
  const root = (content: string, mode: string): HostFile => ({
    content,
    owner: "root",
    group: "root",
    mode,
  });
  // ssh takes no private key that others than its owner may read.
  const node = (content: string): HostFile => ({
    content,
    owner: FLEET_USER,
    group: FLEET_USER,
    mode: "0600",
  });
  return {
    packages: ["openssh-client", "openssh-server"],
    users: { [FLEET_USER]: { home: paths.data }, [REPLICA_USER]: { home: "/nonexistent" } },
    directories: {
      [paths.etc]: OPEN_DIRECTORY,
      [files.folder]: OPEN_DIRECTORY,
      // sshd enters a folder as its root only if nobody but root can change it.
      [chroot]: { ...OPEN_DIRECTORY, data: true },
      [`${chroot}${FOLDER}`]: {
        owner: REPLICA_USER,
        group: REPLICA_USER,
        mode: "0700",
        data: true,
      },
    },
    files: {
      [files.config]: root(sshdConfig(paths, ports.sftp), "0644"),
      [files.hostKey]: root(`{{secret sftp.${self.name}.host.key}}`, "0600"),
      [files.authorizedKeys]: root(
        hosts.map(({ name }) => `restrict {{secret sftp.${name}.pub}}\n`).join(""),
        "0644",
      ),
      [files.clientKey]: node(`{{secret sftp.${self.name}.key}}`),
      [files.knownHosts]: node(
        hosts.map(({ name, address }) => `${address} {{secret sftp.${name}.host.pub}}\n`).join(""),
      ),
      [files.hosts]: root(
        `${JSON.stringify(Object.fromEntries(hosts.map(({ name, address }) => [name, address])), null, 2)}\n`,
        "0644",
      ),
    },
    units: {
      [REPLICAS_UNIT]: {
        content: unitText(context.fleet, paths),
        state: "enabled",
        order: UNIT_ORDER.replicas,
        restartOn: [files.hostKey],
        reloadOn: [files.config],
        verify: ["/usr/sbin/sshd", "-t", "-f", files.config],
      },
    },
    checks: {
      "other hosts can bring replicas": {
        argv: ["/bin/bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/${ports.sftp}`],
        deadlineSeconds: 30,
        remedy: `See journalctl -u ${REPLICAS_UNIT}`,
      },
    },
  };
}

/** Beside the data, not in it: every folder above must be root's. */
const chrootOf = ({ data }: HostPaths): string => `${data}-replicas`;

function filesOf({ etc }: HostPaths) {
  const folder = `${etc}/replicas`;
  return {
    folder,
    config: `${folder}/sshd_config`,
    hostKey: `${folder}/host.key`,
    authorizedKeys: `${folder}/authorized_keys`,
    clientKey: `${folder}/client.key`,
    knownHosts: `${folder}/known_hosts`,
    hosts: `${folder}/hosts.json`,
  };
}

function sshdConfig(paths: HostPaths, port: number): string {
  const { hostKey, authorizedKeys } = filesOf(paths);
  return `# Replicas of this fleet's shards, and nothing else. The host's own SSH server is another one.
Port ${port}
HostKey ${hostKey}
PidFile none

AllowUsers ${REPLICA_USER}
AuthenticationMethods publickey
AuthorizedKeysFile ${authorizedKeys}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
# An account without a password counts as locked, unless PAM says otherwise.
UsePAM yes

ChrootDirectory ${chrootOf(paths)}
Subsystem sftp internal-sftp
ForceCommand internal-sftp -l ERROR
DisableForwarding yes
PermitTTY no
PermitUserRC no
PrintMotd no

# One connection a host stays open for good; one whose host is gone ends in half a minute.
ClientAliveInterval 10
ClientAliveCountMax 3
LoginGraceTime 20
MaxStartups 20:30:60
UseDNS no
`;
}

function unitText(fleet: string, paths: HostPaths): string {
  const { config } = filesOf(paths);
  return `[Unit]
Description=Replicas of other hosts' shards of the OpenClaw fleet ${fleet}, over SFTP
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
ExecStart=/usr/sbin/sshd -D -f ${config}
ExecReload=/usr/sbin/sshd -t -f ${config}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2
# The host's own server lives in the same folder: it stays when this one stops.
RuntimeDirectory=sshd
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
MemoryMax=512M
TasksMax=256
${hardening({ writes: [chrootOf(paths)], capabilities: null, sockets: WITH_NETLINK, except: LOGINS })}

[Install]
WantedBy=multi-user.target
`;
}
