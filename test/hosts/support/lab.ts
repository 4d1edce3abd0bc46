import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeSshKey } from "../../../plugin/host/ssh-key.ts";
import { holderLives, holderOf } from "../../../toolchain/holder.ts";
import { cacheDir } from "../../../toolchain/paths.ts";
import { baseImage } from "./base-image.ts";
import { copyImage, type HostMakings } from "./boot.ts";
import { TestHost } from "./host.ts";
import { run, runQuietly } from "./machine.ts";
import { makeNetwork, ofImage } from "./network.ts";
import { hostPrograms } from "./programs.ts";
import type { System } from "./systems.ts";

export interface LabOptions {
  /** Names of the hosts. */
  readonly hosts: readonly string[];
  /** Named, but left off. @default none */
  readonly off?: readonly string[];
  /** What all of them run. @default Debian 12, or what defaultSystem (systems.ts) finds */
  readonly system?: System;
  /** Gives each host a disk of this size for /var/lib/openclaw-fleet, which can be filled. @default none */
  readonly dataMiB?: number;
}

/** What a lab leaves in its folder, so that a later one can clear up after it. */
interface Owner {
  readonly holder: string;
  readonly bridge: string;
  readonly hosts: readonly string[];
}

/**
 * Real Linux hosts on this machine: Debian with systemd and sshd, each with a disk, an address and a control
 * group of its own, on a network that leads nowhere else. For tests; needs root.
 *
 * ```ts
 * const lab = await TestHosts.create({ hosts: ["a", "b", "c"] });
 * await lab.host("a").run("systemctl is-active ssh");
 * await lab.host("b").powerOff();
 * await lab.close();
 * ```
 */
export class TestHosts {
  readonly id: string;
  /** Private key file that logs in on every host, as root, `admin` (sudo without a password) or `plain`. */
  readonly identityFile: string;
  /** This machine's address for the hosts. */
  readonly machine: string;
  readonly hosts: readonly TestHost[];
  /** The folder of the image that the hosts were made of; its programs run with `chroot`. */
  readonly base: string;
  readonly #folder: string;
  readonly #onExit: () => void;
  #closed = false;

  private constructor(makings: HostMakings, identityFile: string) {
    this.id = makings.id;
    this.base = makings.base;
    this.#folder = makings.folder;
    this.identityFile = identityFile;
    this.machine = `${makings.network.prefix}.1`;
    this.hosts = makings.names.map((name) => new TestHost(makings, name));
    this.#onExit = () => {
      for (const argv of removal(this.base, this.#folder)) runQuietly(argv);
    };
    process.once("exit", this.#onExit);
  }

  /** Makes the hosts and waits until all that are not left off have booted. */
  static async create({
    hosts: names,
    off = [],
    dataMiB = 0,
    system,
  }: LabOptions): Promise<TestHosts> {
    const [{ nspawn }, base] = [await hostPrograms(), await baseImage(system)];
    await clearUp(base);
    const id = randomBytes(3).toString("hex");
    const folder = join(labsFolder(), id);
    const bridge = `fl-${id}`;
    mkdirSync(folder, { recursive: true });
    const owner: Owner = { holder: holderOf(process.pid), bridge, hosts: names };
    writeFileSync(join(folder, "owner.json"), JSON.stringify(owner));
    let lab: TestHosts | null = null;
    try {
      const network = await makeNetwork(base, bridge);
      const key = makeSshKey();
      const identityFile = join(folder, "id");
      writeFileSync(identityFile, key.key, { mode: 0o600 });
      writeFileSync(`${identityFile}.pub`, `${key.pub}\n`);
      const overlay = await overlays(base, folder);
      if (!overlay) for (const name of names) await copyImage(base, join(folder, name));
      const made = { id, folder, base, nspawn, network, names, overlay, dataMiB };
      const makings = { ...made, publicKey: key.pub };
      lab = new TestHosts(makings, identityFile);
      const on = lab.hosts.filter(({ name }) => !off.includes(name));
      await Promise.all(on.map((host) => host.start()));
      return lab;
    } catch (error) {
      if (lab) await lab.close();
      else for (const argv of removal(base, folder)) await run(argv, { check: false });
      throw error;
    }
  }

  host(name: string): TestHost {
    const host = this.hosts.find((one) => one.name === name);
    if (!host) throw new Error(`no host ${name} in this lab`);
    return host;
  }

  /** Settings for a connection to a host, as stacks have them. */
  connection(name: string, user = "root") {
    const { address } = this.host(name);
    return { name, address, user, identityFile: this.identityFile };
  }

  /** Takes everything away that the lab made. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all(this.hosts.map((host) => host.powerOff()));
    for (const argv of removal(this.base, this.#folder)) await run(argv, { check: false });
    process.removeListener("exit", this.#onExit);
  }
}

/** Beside the image, so that disks can be laid over it. */
const labsFolder = (): string => join(cacheDir(), "labs");

/** Removes what labs left whose process is gone. */
async function clearUp(base: string): Promise<void> {
  const labs = labsFolder();
  mkdirSync(labs, { recursive: true });
  for (const id of readdirSync(labs)) {
    const owner = ownerOf(join(labs, id));
    if (owner && !holderLives(owner.holder)) {
      for (const argv of removal(base, join(labs, id))) await run(argv, { check: false });
    }
  }
}

/** Null while a lab is being made or taken away. */
function ownerOf(folder: string): Owner | null {
  try {
    return JSON.parse(readFileSync(join(folder, "owner.json"), "utf8")) as Owner;
  } catch {
    return null;
  }
}

/** Ends every process of the groups, then removes them. They are seen through a mount made for it. */
const REMOVE_GROUPS = `mkdir -p "$1/cgroup" && mount -t cgroup2 none "$1/cgroup" || exit 0
for group in "$1"/cgroup/openclaw-lab-"$2"-* /sys/fs/cgroup/systemd/openclaw-lab-"$2"-*; do
  test -d "$group" || continue
  test ! -e "$group/cgroup.kill" || echo 1 > "$group/cgroup.kill"
  tries=0
  until find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; do
    tries=$((tries + 1))
    test "$tries" -lt 100 || exit 1
    sleep 0.1
  done
done
`;

/** Commands that take a lab away, whatever is left of it. */
function removal(base: string, folder: string): string[][] {
  const owner = ownerOf(folder);
  const id = folder.slice(folder.lastIndexOf("/") + 1);
  return [
    ["unshare", "--mount", "sh", "-c", REMOVE_GROUPS, "sh", folder, id],
    ...(owner ? [ofImage(base, ["ip", "link", "del", owner.bridge])] : []),
    ["rm", "-rf", "--one-file-system", folder],
  ];
}

/** True when a file system can be laid over the image here. */
async function overlays(base: string, folder: string): Promise<boolean> {
  for (const name of ["try", "try-work", "try-root"]) mkdirSync(join(folder, name));
  const options = `lowerdir=${base},upperdir=${folder}/try,workdir=${folder}/try-work`;
  const { code } = await run(
    [
      ...["unshare", "--mount", "mount", "-t", "overlay", "try", "-o", options],
      join(folder, "try-root"),
    ],
    { check: false },
  );
  for (const name of ["try", "try-work", "try-root"]) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
  return code === 0;
}
