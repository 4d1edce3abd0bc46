import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { cacheEntry } from "../../../toolchain/cache.ts";
import { createProgress } from "../../../toolchain/progress.ts";
import { installDebian, onPath, unpackDebian } from "../../support/debian-package.ts";

/**
 * `systemd-nspawn` and `debootstrap` with what they link to. Everything else that a lab runs (`ip`, `tc`,
 * `nft`) comes from the image of its hosts.
 */
const PACKAGES = [
  "systemd-container",
  "libsystemd-shared",
  "debootstrap",
  "debian-archive-keyring",
  "libacl1",
  "libcap2",
  "libgcrypt20",
  "libgpg-error0",
  "libip4tc2",
  "libkmod2",
  "liblz4-1",
  "libpam0g",
  "libseccomp2",
];

/** Every Debian machine has these (util-linux, coreutils). */
const NEEDED = ["chroot", "mount", "nsenter", "setpriv", "unshare"];

export interface HostPrograms {
  readonly nspawn: Program;
  readonly debootstrap: Program;
  /** Keys that sign Debian's archives. */
  readonly keyring: string;
}

/** A file to run, and the environment it needs. */
export interface Program {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Why hosts cannot be made here; null when they can. Looks only. */
export function whyNoHosts(): string | null {
  if (process.platform !== "linux") return "hosts are made by systemd-nspawn, which Linux has";
  if (process.getuid?.() !== 0) return "only root can make hosts";
  const missing = NEEDED.filter((name) => onPath(name) === null);
  return missing.length > 0 ? `${missing.join(", ")} missing on PATH` : null;
}

/** Debian's own, unpacked into the project's cache: installed, they would change the machine. */
export async function hostPrograms(): Promise<HostPrograms> {
  const why = whyNoHosts();
  if (why !== null) throw new Error(`no test hosts: ${why}`);
  // The project's own way to hosts; a person who has hosts has it.
  if (onPath("ssh") === null) installDebian(["openssh-client"]);
  const entry = await cacheEntry(
    "host-programs",
    `${process.arch}-1`,
    async (folder) => unpackDebian(folder, PACKAGES),
    { progress: createProgress() },
  );
  const libraries = readdirSync(join(entry, "usr/lib"))
    .map((name) => join(entry, "usr/lib", name))
    .flatMap((folder) => [folder, join(folder, "systemd")])
    .filter((folder) => existsSync(folder));
  const nspawn = {
    path: join(entry, "usr/bin/systemd-nspawn"),
    env: {
      ...process.env,
      LD_LIBRARY_PATH: [...libraries, join(entry, "lib", triplet())].join(":"),
    },
  };
  execFileSync(nspawn.path, ["--version"], { env: nspawn.env, stdio: "pipe" });
  const debootstrap = {
    path: join(entry, "usr/sbin/debootstrap"),
    env: { ...process.env, DEBOOTSTRAP_DIR: join(entry, "usr/share/debootstrap") },
  };
  return {
    nspawn,
    debootstrap,
    keyring: join(entry, "usr/share/keyrings/debian-archive-keyring.gpg"),
  };
}

/** Debian's name of this architecture's libraries. */
function triplet(): string {
  return process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
}
