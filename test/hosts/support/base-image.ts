import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheEntry } from "../../../toolchain/cache.ts";
import { runLogged } from "../../../toolchain/command.ts";
import { cacheDir } from "../../../toolchain/paths.ts";
import { createProgress } from "../../../toolchain/progress.ts";
import { hostPrograms } from "./programs.ts";
import { bootstrapOf, defaultSystem, type System } from "./systems.ts";

/** What a server of a provider has, what the plans of hosts install, and what labs need (nftables, a name server). */
const PACKAGES = [
  "ca-certificates",
  "caddy",
  "certbot",
  "curl",
  "dbus",
  "dnsmasq-base",
  "iproute2",
  "nftables",
  "nginx",
  "openssh-server",
  "procps",
  "prometheus",
  "prometheus-alertmanager",
  "prometheus-blackbox-exporter",
  "prometheus-node-exporter",
  "prometheus-redis-exporter",
  // Certbot's cryptography names it by a virtual package only, which debootstrap does not look up.
  "python3-cffi-backend",
  "redis-sentinel",
  "redis-server",
  "sudo",
  "systemd",
  "systemd-sysv",
  "zstd",
];

/** Users of a lab log in as root or as this one, who may use sudo without a password. */
export const ADMIN_USER = "admin";
/** May log in, but sudo asks for a password. */
export const PLAIN_USER = "plain";

/**
 * Run inside the new system. Its services stay off until a plan turns them on: a provider's image has
 * none of them. Keys of sshd would be the same on each host made of this.
 */
const FINISH = `set -eu
for unit in caddy nginx redis-server redis-sentinel prometheus prometheus-alertmanager \\
  prometheus-blackbox-exporter prometheus-node-exporter prometheus-redis-exporter; do
  systemctl --quiet disable "$unit.service"
done
for timer in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer; do
  ! test -e "/lib/systemd/system/$timer" || systemctl --quiet mask "$timer"
done
systemctl --quiet disable certbot.timer
systemctl --quiet enable ssh.service systemd-networkd.service
systemctl --quiet mask systemd-networkd-wait-online.service getty.target console-getty.service
useradd --create-home --shell /bin/bash ${ADMIN_USER}
useradd --create-home --shell /bin/bash ${PLAIN_USER}
usermod --append --groups sudo ${PLAIN_USER}
printf '%s\\n' '${ADMIN_USER} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/90-${ADMIN_USER}
chmod 0440 /etc/sudoers.d/90-${ADMIN_USER}
printf '%s\\n' 'UseDNS no' 'MaxStartups 100' 'AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/lab_keys' > /etc/ssh/sshd_config.d/10-lab.conf
rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id
: > /etc/machine-id
ln -sf /etc/machine-id /var/lib/dbus/machine-id
apt-get clean
rm -rf /var/lib/apt/lists/* /var/log/*.log /usr/share/doc/* /usr/share/man/*
`;

/** Names what the image is made by. */
function recipe(system: System): string {
  const text = JSON.stringify([system, PACKAGES, FINISH]);
  return `${system}-${process.arch}-${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
}

/**
 * Folder of the system that every test host begins as: Debian (or Ubuntu) with systemd and sshd. Made once, in a
 * few minutes, and never written to afterwards. Packages are kept while it is made, so that a run which was
 * broken off goes on from there.
 * @param system @default {@link defaultSystem}
 */
export async function baseImage(system: System = defaultSystem()): Promise<string> {
  const key = recipe(system);
  const progress = createProgress();
  const entry = await cacheEntry(
    "host-image",
    key,
    async (folder) => {
      const step = progress.step("image of the test hosts", `installing ${system}, a few minutes`);
      const packages = join(cacheDir(), "host-packages", key);
      const root = join(folder, "root");
      mkdirSync(packages, { recursive: true });
      const programs = await hostPrograms();
      // Not in the unfinished folder: gpgv takes a colon in a key's path for something else.
      const { debootstrap, options, mirror } = bootstrapOf(system, programs, packages);
      // Unfinished, the folder is thrown away: nothing in it needs to reach the disk in order.
      mkdirSync(join(root, "etc", "dpkg", "dpkg.cfg.d"), { recursive: true });
      writeFileSync(join(root, UNSAFE_IO), "force-unsafe-io\n");
      try {
        await runLogged(
          "setpriv",
          // Mounts of its own, and the end of this process ends it: nothing of it outlives a broken run.
          [
            ...["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"],
            ...["--mount-proc", "sh", debootstrap.path, "--variant=minbase"],
            ...[...options, `--cache-dir=${packages}`],
            ...[`--include=${PACKAGES.join(",")}`, system, root, ...mirror],
          ],
          { cwd: folder, env: debootstrap.env, onLine: (line) => step.note(line.slice(0, 100)) },
        );
        finish(root);
        step.done("made");
      } catch (error) {
        step.failed("failed");
        throw new Error(
          `the image of the test hosts could not be made: ${(error as Error).message}\n` +
            "Its packages are fetched once for it; check that apt-get update works here.",
        );
      }
      rmSync(packages, { recursive: true, force: true });
    },
    { progress },
  );
  return join(entry, "root");
}

const UNSAFE_IO = join("etc", "dpkg", "dpkg.cfg.d", "image");

function finish(root: string): void {
  const script = join(root, "root", "finish.sh");
  writeFileSync(script, FINISH);
  const env = {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    LC_ALL: "C",
    DEBIAN_FRONTEND: "noninteractive",
  };
  execFileSync("chroot", [root, "sh", "/root/finish.sh"], { env, stdio: "pipe" });
  rmSync(script);
  rmSync(join(root, UNSAFE_IO));
}
