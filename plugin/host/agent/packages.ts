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

  /** Names of everything installed. */
  async installed(): Promise<Set<string>> {
    const query = ["dpkg-query", "--show", `--showformat=${STATUS_AND_NAME}`];
    const { stdout } = await this.#system.run(query);
    const lines = stdout.split("\n").map((line) => line.split(" "));
    return new Set(lines.filter(([status]) => status === "installed").map(([, name = ""]) => name));
  }

  async missing(wanted: readonly string[]): Promise<string[]> {
    if (wanted.length === 0) return [];
    const there = await this.installed();
    return wanted.filter((name) => !there.has(name));
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
    record.packages.before = [...(await this.installed())].sort();
    note();
    this.#holdServices();
    try {
      this.#system.say(`installing ${missing.join(", ")}`);
      const install = ["install", "--no-install-recommends", ...missing];
      let ran = await this.#apt(install);
      if (ran.code !== 0) {
        // Its lists may be old, or never fetched.
        await this.#apt(["update"]);
        ran = await this.#apt(install);
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

  /** Ends what an installation left, also one that was killed: its hold on services, its note. */
  async tidy(record: HostRecord, note: () => void): Promise<void> {
    this.#releaseServices();
    const { before } = record.packages;
    if (!before) return;
    await this.#repair();
    const known = new Set([...before, ...record.packages.ours]);
    const fresh = [...(await this.installed())].filter((name) => !known.has(name));
    record.packages = { ours: [...record.packages.ours, ...fresh].sort(), before: null };
    note();
  }

  /**
   * Purges what the agent installed and nobody needs: never a package of somebody else's, nor one that
   * such a package, or one that is still wanted, depends on.
   */
  async removeUnneeded(
    wanted: readonly string[],
    record: HostRecord,
    note: () => void,
  ): Promise<string[]> {
    const there = await this.installed();
    const ours = record.packages.ours.filter((name) => there.has(name));
    const gone = await this.#removable(ours.filter((name) => !wanted.includes(name)));
    if (gone.length > 0) {
      this.#system.say(`removing ${gone.join(", ")}`);
      const ran = await this.#apt(["purge", ...gone]);
      if (ran.code !== 0) throw new Error(`removing ${gone.join(", ")} failed: ${said(ran)}`);
    }
    record.packages.ours = ours.filter((name) => !gone.includes(name));
    note();
    return gone.map((name) => `package ${name} removed`);
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
