import { digest, type Files } from "./files.ts";
import type { HostRecord } from "./record.ts";
import { type Ran, type System, said } from "./system.ts";

/** Asked by Debian's packages before they start a service; 101 means no. */
const POLICY = "/usr/sbin/policy-rc.d";
const POLICY_KEPT = "/usr/sbin/policy-rc.d.openclaw-fleet-kept";
const POLICY_TEXT = `#!/bin/sh
# There while openclaw-fleet installs packages: it starts their services itself.
exit 101
`;

/** The first boot of a provider's image upgrades itself for minutes, s. */
const LOCK_WAIT_SECONDS = 300;

const APT = [
  "apt-get",
  "--yes",
  "--quiet",
  "-o",
  `DPkg::Lock::Timeout=${LOCK_WAIT_SECONDS}`,
  // What somebody changed stays; plans bring their own files.
  "-o",
  "Dpkg::Options::=--force-confdef",
  "-o",
  "Dpkg::Options::=--force-confold",
];
/**
 * Folders that a purge of a package removes whole, also what came from elsewhere: certificates of a certbot from snap,
 * data of a server that somebody built. Source: the postrm scripts of Debian 12.
 */
const PURGED_WHOLE: Readonly<Record<string, readonly string[]>> = {
  caddy: ["/etc/caddy", "/var/lib/caddy"],
  certbot: ["/etc/letsencrypt"],
  "nginx-common": ["/etc/nginx"],
  prometheus: ["/var/lib/prometheus/metrics2"],
  "prometheus-alertmanager": ["/var/lib/prometheus/alertmanager"],
  "redis-tools": ["/etc/redis", "/var/lib/redis"],
};
/** Of a package that was removed without its configuration. */
const CONFIG_FILES = "config-files";

/** dpkg's own placeholders. */
const STATUS_AND_NAME = "$" + "{db:Status-Status} $" + "{Package}\\n";
const ENVIRONMENT = { DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_SUSPEND: "1" };

/** Debian packages of the host. */
export class Packages {
  readonly #system: System;
  readonly #files: Files;

  constructor(system: System, files: Files) {
    this.#system = system;
    this.#files = files;
  }

  async missing(wanted: readonly string[]): Promise<string[]> {
    if (wanted.length === 0) return [];
    const statuses = await this.#statuses();
    return wanted.filter((name) => statuses.get(name) !== "installed");
  }

  /** Installs what is missing, with services held back. `note` writes the record. */
  async install(
    wanted: readonly string[],
    record: HostRecord,
    note: () => void,
  ): Promise<string[]> {
    await this.tidy(record, note);
    const missing = await this.missing(wanted);
    if (missing.length === 0) return [];
    this.#holdServices();
    try {
      this.#system.say(`installing ${missing.join(", ")}`);
      let ran = await this.#install(missing, record, note);
      if (ran.code !== 0) {
        // Its lists may be old, or never fetched.
        await this.#apt(["update"]);
        ran = await this.#install(missing, record, note);
      }
      if (ran.code !== 0) {
        throw new Error(
          `${missing.join(", ")} could not be installed: ${said(ran)}. ` +
            "The host needs a way to its Debian mirror, or install them there by hand",
        );
      }
    } finally {
      await this.tidy(record, note);
    }
    return missing.map((name) => `package ${name} installed`);
  }

  /** Notes what the installation will bring, then does it. */
  async #install(names: readonly string[], record: HostRecord, note: () => void): Promise<Ran> {
    const command = ["install", "--no-install-recommends", ...names];
    const asked = await this.#apt(["--simulate", ...command]);
    if (asked.code !== 0) return asked;
    const { ours, unpurged = [], coming = [] } = record.packages;
    const known = new Set([...ours, ...coming]);
    // What is there already has its version in brackets before the new one.
    const fresh = [...asked.stdout.matchAll(/^Inst (\S+) \(/gm)]
      .map(([, name]) => name as string)
      .filter((name) => !known.has(name));
    const statuses = await this.#statuses();
    const foreign = (name: string) =>
      statuses.get(name) === CONFIG_FILES ||
      PURGED_WHOLE[name]?.some((path) => this.#files.look(path).kind !== "none");
    record.packages = {
      ours,
      unpurged: [...unpurged, ...fresh.filter(foreign)].sort(),
      coming: [...coming, ...fresh].sort(),
    };
    note();
    return await this.#apt(command);
  }

  /** Ends what an installation left, also one that was killed: its hold on services, its note. */
  async tidy(record: HostRecord, note: () => void): Promise<void> {
    this.#releaseServices();
    const { ours, coming = [], before } = record.packages;
    if (!record.packages.coming && !before) return;
    await this.#repair();
    const statuses = await this.#statuses();
    const arrived = coming.filter((name) => isThere(statuses.get(name)));
    this.#own([...ours, ...arrived].sort(), record);
    note();
  }

  /**
   * Purges what the agent installed and nobody needs: never a package of somebody else's, nor one that
   * such a package, or one that is still wanted, depends on. Where a purge would take along what was there before, the
   * package is only removed.
   */
  async removeUnneeded(
    wanted: readonly string[],
    record: HostRecord,
    note: () => void,
  ): Promise<string[]> {
    const statuses = await this.#statuses();
    const { unpurged = [] } = record.packages;
    const ours = record.packages.ours.filter((name) => {
      const status = statuses.get(name);
      // Removed and not purged: a run was cut off between the two.
      return isThere(status) || (status === CONFIG_FILES && !unpurged.includes(name));
    });
    const gone = await this.#removable(ours.filter((name) => !wanted.includes(name)));
    if (gone.length > 0) this.#system.say(`removing ${gone.join(", ")}`);
    // In this order: a purge would also purge whatever depends on what is purged.
    const steps = {
      remove: gone.filter((name) => unpurged.includes(name)),
      purge: gone.filter((name) => !unpurged.includes(name)),
    };
    for (const [verb, names] of Object.entries(steps)) {
      if (names.length === 0) continue;
      const ran = await this.#apt([verb, ...names]);
      if (ran.code !== 0) throw new Error(`removing ${names.join(", ")} failed: ${said(ran)}`);
    }
    this.#own(
      ours.filter((name) => !gone.includes(name)),
      record,
    );
    note();
    return gone.map((name) => `package ${name} removed`);
  }

  /** With no installation under way. */
  #own(ours: string[], record: HostRecord): void {
    const unpurged = record.packages.unpurged?.filter((name) => ours.includes(name)) ?? [];
    record.packages = { ours, ...(unpurged.length > 0 ? { unpurged } : {}) };
  }

  /** By name, of every package that dpkg knows. */
  async #statuses(): Promise<Map<string, string>> {
    const query = ["dpkg-query", "--show", `--showformat=${STATUS_AND_NAME}`];
    const { stdout } = await this.#system.run(query);
    const found = new Map<string, string>();
    for (const line of stdout.split("\n").filter(Boolean)) {
      const [status = "", name = ""] = line.split(" ");
      // Of two architectures the installed one counts.
      if (found.get(name) !== "installed") found.set(name, status);
    }
    return found;
  }

  async #removable(candidates: readonly string[]): Promise<string[]> {
    let left = [...candidates];
    while (left.length > 0) {
      const within = new Set(left);
      if ((await this.#removedWith(left)).every((name) => within.has(name))) return left;
      const kept: string[] = [];
      for (const name of left) {
        const all = await this.#removedWith([name]);
        if (all.every((each) => within.has(each))) kept.push(name);
      }
      // Each alone is fine and all together are not: too tangled to be worth a risk.
      if (kept.length === left.length) return [];
      left = kept;
    }
    return [];
  }

  /** What would go when these go; something foreign when apt refuses. */
  async #removedWith(names: readonly string[]): Promise<string[]> {
    const { code, stdout } = await this.#apt(["--simulate", "purge", ...names]);
    if (code !== 0) return ["apt refuses"];
    return [...stdout.matchAll(/^(?:Purg|Remv) (\S+)/gm)].map(([, name]) => name as string);
  }

  /** A killed dpkg leaves packages half set up. */
  async #repair(): Promise<void> {
    const { stdout } = await this.#system.run(["dpkg", "--audit"]);
    if (stdout.trim() === "") return;
    this.#holdServices();
    await this.#system.run(
      ["dpkg", "--configure", "--pending", "--force-confdef", "--force-confold"],
      {
        env: ENVIRONMENT,
      },
    );
    this.#releaseServices();
  }

  #holdServices(): void {
    const found = this.#files.look(POLICY);
    if (found.kind === "file" && digest(found.content) !== digest(POLICY_TEXT)) {
      this.#files.restore(POLICY_KEPT, found);
    }
    this.#files.write(POLICY, POLICY_TEXT, {
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      mode: 0o755,
    });
  }

  #releaseServices(): void {
    const ours = this.#files.look(POLICY);
    if (ours.kind !== "file" || digest(ours.content) !== digest(POLICY_TEXT)) return;
    const kept = this.#files.look(POLICY_KEPT);
    this.#files.restore(POLICY, kept);
    this.#files.remove(POLICY_KEPT);
  }

  #apt(args: readonly string[]): Promise<Ran> {
    return this.#system.run([...APT, ...args], { env: ENVIRONMENT });
  }
}

/** Wholly, or as far as a killed dpkg came. */
function isThere(status: string | undefined): boolean {
  return status !== undefined && status !== "not-installed" && status !== CONFIG_FILES;
}
