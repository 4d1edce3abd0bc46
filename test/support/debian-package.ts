import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** Longest wait for Debian's servers, ms. */
const DOWNLOAD_MS = 240_000;

/** The first program of these names on PATH; null without one. */
export function onPath(...names: readonly string[]): string | null {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      if (folder !== "" && existsSync(join(folder, name))) return join(folder, name);
    }
  }
  return null;
}

/**
 * Unpacks Debian's packages into a folder. They are not installed: installed, a server's package would
 * start the server. Throws with apt's own words.
 */
export function unpackDebian(folder: string, packages: readonly string[]): void {
  // apt hands downloads to a user of its own, who cannot enter every folder of ours.
  const downloads = mkdtempSync(join(tmpdir(), "debian-"));
  try {
    try {
      apt(downloads, ["download", ...packages]);
    } catch {
      // A machine that never asked for its lists knows no package; only root may fetch them.
      apt(downloads, ["update"]);
      apt(downloads, ["download", ...packages]);
    }
    const debs = readdirSync(downloads).filter((name) => name.endsWith(".deb"));
    if (debs.length < packages.length) throw new Error("apt-get download brought no package");
    for (const deb of debs) {
      execFileSync("dpkg-deb", ["-x", join(downloads, deb), folder], { stdio: "pipe" });
    }
  } catch (error) {
    const { message, stderr } = error as Error & { stderr?: Buffer };
    throw new Error(stderr?.toString().trim() || message);
  } finally {
    rmSync(downloads, { recursive: true, force: true });
  }
}

/**
 * Installs Debian's packages on this machine, for what only works there and starts no service. Throws with
 * apt's own words.
 */
export function installDebian(packages: readonly string[]): void {
  const install = ["install", "--yes", "--no-install-recommends", ...packages];
  try {
    try {
      apt("/", install);
    } catch {
      apt("/", ["update"]);
      apt("/", install);
    }
  } catch (error) {
    const { message, stderr } = error as Error & { stderr?: Buffer };
    throw new Error(stderr?.toString().trim() || message);
  }
}

function apt(cwd: string, args: readonly string[]): void {
  execFileSync("apt-get", ["-qq", ...args], { cwd, stdio: "pipe", timeout: DOWNLOAD_MS });
}
