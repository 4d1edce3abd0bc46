import { existsSync, mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { run } from "./machine.ts";
import { addressOf, type LabNetwork } from "./network.ts";
import type { Program } from "./programs.ts";

/** What every host of a lab is made with. */
export interface HostMakings {
  /** The lab's id. */
  readonly id: string;
  readonly folder: string;
  readonly base: string;
  readonly nspawn: Program;
  readonly network: LabNetwork;
  /** Public key that may log in, as one line. */
  readonly publicKey: string;
  /** Names of all hosts, in order. */
  readonly names: readonly string[];
  /** False: the image was copied, because this machine cannot lay a file system over it. */
  readonly overlay: boolean;
  /** Size of a disk of its own for {@link DATA}, MiB; 0: it shares this machine's. */
  readonly dataMiB: number;
}

/** Where a host keeps what counts. */
export const DATA = "/var/lib/openclaw-fleet";

/**
 * Mounts and a control group of its own, which end with it; then the container takes its place. The group
 * is what a lab stops a host by, and keeps each systemd inside from seeing the others' processes.
 */
const BOOT = `set -eu
folder=$1 base=$2 group=$3 overlay=$4
shift 4
mkdir -p "$folder/cgroup" "$folder/root" /run/systemd/nspawn
# What it notes there would stay after a power loss.
mount -t tmpfs lab /run/systemd/nspawn
mount -t cgroup2 none "$folder/cgroup"
mkdir -p "$folder/cgroup/$group"
echo 0 > "$folder/cgroup/$group/cgroup.freeze"
echo $$ > "$folder/cgroup/$group/cgroup.procs"
if test -e /sys/fs/cgroup/systemd/cgroup.procs; then
  mkdir -p "/sys/fs/cgroup/systemd/$group"
  echo $$ > "/sys/fs/cgroup/systemd/$group/cgroup.procs"
fi
test "$overlay" = no || mount -t overlay lab \\
  -o "lowerdir=$base,upperdir=$folder/disk,workdir=$folder/work" "$folder/root"
if test -e "$folder/data.img"; then
  mkdir -p "$folder/data"
  mount -o loop "$folder/data.img" "$folder/data"
fi
exec "$@"
`;

/** What boots a host in its folder, its processes in this control group. */
export function bootCommand(makings: HostMakings, name: string, folder: string, group: string) {
  const { nspawn, base, network, overlay, id, dataMiB } = makings;
  const container = [
    ...[nspawn.path, "--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe"],
    ...[`--directory=${folder}/root`, `--machine=${id}-${name}`, `--hostname=${name}`],
    `--network-bridge=${network.bridge}`,
    // Nothing of this machine's names and time zone reaches the host.
    ...["--resolv-conf=off", "--timezone=off", "--link-journal=no"],
    ...(dataMiB > 0 ? [`--bind=${folder}/data:${DATA}`] : []),
  ];
  const argv = [
    // Namespaces end with their first process, and everything in them: nothing outlives a lab.
    ...["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
    ...["sh", "-c", BOOT, "sh", folder, base, group, overlay ? "yes" : "no", ...container],
  ];
  // Servers have the second version of control groups, whatever this machine has.
  return { argv, env: { ...nspawn.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: "1" } };
}

/** Makes the disk of its own that a host is to have; once. */
export async function makeDataDisk({ dataMiB }: HostMakings, folder: string): Promise<void> {
  const image = join(folder, "data.img");
  if (dataMiB === 0 || existsSync(image)) return;
  await run(["truncate", "--size", `${dataMiB}M`, image]);
  await run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", image]);
}

/** Puts a copy of the image where a host begins, on a machine that cannot lay a file system over it. */
export async function copyImage(base: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await run(["cp", "-a", "--reflink=auto", base, join(folder, "root")]);
}

export function hostsFile(makings: HostMakings): string {
  const rows = makings.names.map((name, i) => `${addressOf(makings.network, i)} ${name}`);
  return `127.0.0.1 localhost\n${rows.join("\n")}\n`;
}

export const networkFile = (address: string): string =>
  `[Match]\nName=host0\n\n[Network]\nAddress=${address}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n`;

/** Resolves when a server at that address says something. */
export function answers(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, timeout: 2_000 });
    socket.once("data", () => {
      socket.destroy();
      resolve();
    });
    socket.once("timeout", () => socket.destroy(new Error(`${address}:${port} does not answer`)));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`${address}:${port} closed the connection`)));
  });
}
