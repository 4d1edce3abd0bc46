import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Ran, RunOptions, System } from "../../../../plugin/host/agent/system.ts";

/** Thousands of writes that wait for the disk would take minutes on a busy machine. */
const MEMORY = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** The agent was killed here. */
export class Killed extends Error {}

interface FakeUnit {
  enabled: boolean;
  active: boolean;
  failed: boolean;
  /** Text with which it was started. */
  runs: string;
  since: number;
}

const OK: Ran = { code: 0, stdout: "", stderr: "" };
const no = (stderr: string, code = 1): Ran => ({ code, stdout: "", stderr });

/**
 * A host in a folder: files are real, commands act on what they would act on. Everything belongs to whoever
 * runs the test. A test may kill the agent before any command, and break units.
 */
export class FakeHost implements System {
  readonly root = mkdtempSync(join(MEMORY, "fleet-host-"));
  readonly said: string[] = [];
  readonly commands: string[] = [];
  readonly users = new Map<string, { home: string; shell: string; groups: string[] }>();
  readonly installed = new Set(["base"]);
  /** Packages that were removed and not purged. */
  readonly removed = new Set<string>();
  readonly units = new Map<string, FakeUnit>();
  /** Packages that can be had, and what each brings: a unit, what it needs, a folder that a purge removes whole. */
  readonly mirror = new Map<string, { unit?: string; needs: string[]; folder?: string }>();
  /** Fires when whoever ordered it is gone; a later order has another one. */
  gone = new AbortController();
  /** Kills the agent instead of this many-th command from now. */
  killAt = Number.POSITIVE_INFINITY;
  /** Kills it after the command's effect, before its answer. */
  killLate = false;
  /** Asked before a unit starts; a text is why it fails. */
  starts: (name: string, text: string) => string | null = () => null;
  /** Answers of commands of plans: verify and checks. */
  answers: (argv: readonly string[], stdin?: string) => Ran = () => OK;
  #clock = 1;
  #now = 0;

  constructor() {
    for (const path of ["etc/systemd/system", "usr/sbin", "var/lib", "opt", "run"]) {
      mkdirSync(join(this.root, path), { recursive: true });
    }
  }

  get signal(): AbortSignal {
    return this.gone.signal;
  }

  now(): number {
    return this.#now;
  }

  /** Its time goes by when it is waited for. */
  async sleep(ms: number): Promise<void> {
    this.#now += ms;
    await new Promise((done) => setImmediate(done));
  }

  say(line: string): void {
    this.said.push(line);
  }

  path(path: string): string {
    return join(this.root, path);
  }

  read(path: string): string | null {
    return existsSync(this.path(path)) ? readFileSync(this.path(path), "utf8") : null;
  }

  /** Everything that is there: files with content and mode, and what commands changed. */
  listing(): unknown {
    const files: Record<string, string> = {};
    const walk = (at: string) => {
      for (const entry of readdirSync(this.path(at), { withFileTypes: true })) {
        const path = `${at}/${entry.name}`;
        const mode = (statSync(this.path(path)).mode & 0o7777).toString(8);
        files[path] = entry.isDirectory() ? mode : `${mode} ${this.read(path)}`;
        if (entry.isDirectory()) walk(path);
      }
    };
    walk("");
    const units = [...this.units].filter(([, unit]) => unit.enabled || unit.active);
    return {
      files,
      users: [...this.users.keys()],
      installed: [...this.installed].sort(),
      removed: [...this.removed].sort(),
      units: units.map(([name, { enabled, active }]) => `${name} ${enabled} ${active}`).sort(),
    };
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  async run(argv: readonly string[], { stdin }: RunOptions = {}): Promise<Ran> {
    this.killAt -= 1;
    // Whatever still runs after the kill runs without effect.
    if (this.killAt < 0 || (this.killAt === 0 && !this.killLate)) throw new Killed();
    const ran = this.#run(argv, stdin);
    this.commands.push(argv.filter((word) => !word.startsWith("-")).join(" "));
    if (this.killAt === 0) throw new Killed();
    return ran;
  }

  #run(argv: readonly string[], stdin?: string): Ran {
    const [program = "", ...args] = argv;
    const words = args.filter((word) => !word.startsWith("-"));
    const last = words.at(-1) ?? "";
    if (program === "getent") return this.#getent(words[0] ?? "", last);
    if (program === "useradd") {
      const [home = "", shell = ""] = ["--home-dir", "--shell"].map((name) => after(args, name));
      this.users.set(last, { home, shell, groups: [] });
      return OK;
    }
    if (program === "userdel") return this.users.delete(last) ? OK : no("no such user");
    if (program === "dpkg-query") {
      const there = [...this.installed].map((name) => `installed ${name}\n`);
      const left = [...this.removed].map((name) => `config-files ${name}\n`);
      return { ...OK, stdout: [...there, ...left].join("") };
    }
    if (program === "dpkg") return OK;
    if (program === "apt-get") return this.#apt(args);
    if (program === "systemctl") return this.#systemctl(words[0] ?? "", args);
    if (program === "journalctl") return { ...OK, stdout: `log of ${after(args, "--unit")}\n` };
    if (program === "timeout") return this.answers(args.slice(2));
    return this.answers(argv, stdin);
  }

  #getent(database: string, name: string): Ran {
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    const user = this.users.get(name);
    if (name !== "root" && !user) return no("", 2);
    const line =
      database === "group"
        ? `${name}:x:${gid}:`
        : `${name}:x:${uid}:${gid}::${user?.home ?? "/root"}:${user?.shell ?? "/bin/sh"}`;
    return { ...OK, stdout: `${line}\n` };
  }

  #apt(args: readonly string[]): Ran {
    const verbs = ["install", "purge", "remove", "update"];
    const at = args.findIndex((word) => verbs.includes(word));
    const names = args.slice(at + 1).filter((word) => !word.startsWith("-"));
    if (args[at] === "update") return OK;
    if (args[at] !== "install") return this.#takeOff(names, args[at] === "purge", args);
    const held = this.read("/usr/sbin/policy-rc.d") !== null;
    for (const name of names) {
      if (!this.mirror.has(name)) return no(`E: Unable to locate package ${name}`, 100);
    }
    const all = names.flatMap((name) => [...(this.mirror.get(name)?.needs ?? []), name]);
    const fresh = [...new Set(all)].filter((name) => !this.installed.has(name));
    if (args.includes("--simulate")) {
      const lines = fresh.map((name) => `Inst ${name} (1.0 Debian:12 [all])\n`);
      return { ...OK, stdout: `Inst base [0.9] (1.0 Debian:12 [all])\n${lines.join("")}` };
    }
    for (const name of fresh) {
      const { unit, folder } = this.mirror.get(name) ?? {};
      this.installed.add(name);
      this.removed.delete(name);
      if (folder) mkdirSync(this.path(folder), { recursive: true });
      if (unit) this.units.set(unit, { ...OFF, enabled: true, active: !held });
    }
    return OK;
  }

  /** Whatever needs one of them goes as they go. */
  #takeOff(names: readonly string[], purge: boolean, args: readonly string[]): Ran {
    const needy = [...this.installed].filter((name) =>
      this.mirror.get(name)?.needs.some((need) => names.includes(need)),
    );
    const all = [...new Set([...names, ...needy])].filter(
      (name) => this.installed.has(name) || (purge && this.removed.has(name)),
    );
    if (args.includes("--simulate")) {
      return { ...OK, stdout: all.map((name) => `Purg ${name} [1.0]\n`).join("") };
    }
    for (const name of all) {
      const { unit, folder } = this.mirror.get(name) ?? {};
      this.installed.delete(name);
      this.units.delete(unit ?? "");
      if (purge) this.removed.delete(name);
      else this.removed.add(name);
      if (purge && folder) rmSync(this.path(folder), { recursive: true, force: true });
    }
    return OK;
  }

  #systemctl(verb: string, args: readonly string[]): Ran {
    if (verb === "show") {
      const names = args.slice(args.indexOf("--") + 1);
      return { ...OK, stdout: names.map((name) => this.#show(name)).join("\n") };
    }
    if (verb === "daemon-reload") return OK;
    const name = args.filter((word) => !word.startsWith("-"))[1] ?? "";
    const text = this.read(`/etc/systemd/system/${name}`);
    const unit = this.units.get(name) ?? (text === null ? null : { ...OFF });
    if (!unit) return verb === "reset-failed" ? OK : no(`Unit ${name} not found.`, 5);
    this.units.set(name, unit);
    if (verb === "reset-failed") unit.failed = false;
    if (verb === "enable") unit.enabled = true;
    if (verb === "disable") unit.enabled = false;
    if (verb === "stop" || args.includes("--now")) unit.active = false;
    if (verb === "reload" && !unit.active) return no("it is not active");
    if (verb === "restart" || (verb === "start" && !unit.active)) {
      const why = this.starts(name, text ?? "");
      Object.assign(unit, { active: why === null, failed: why !== null, since: ++this.#clock });
      unit.runs = text ?? "";
      if (why !== null) return no(why);
    }
    return OK;
  }

  #show(name: string): string {
    const unit = this.units.get(name);
    const loaded = this.read(`/etc/systemd/system/${name}`) !== null || unit !== undefined;
    const state = unit?.active ? "active" : unit?.failed ? "failed" : "inactive";
    return [
      `LoadState=${loaded ? "loaded" : "not-found"}`,
      `ActiveState=${state}`,
      `UnitFileState=${unit?.enabled ? "enabled" : loaded ? "disabled" : ""}`,
      "Type=simple",
      "NeedDaemonReload=no",
      `ActiveEnterTimestampMonotonic=${unit?.since ?? 0}`,
      "",
    ].join("\n");
  }
}

const OFF: FakeUnit = { enabled: false, active: false, failed: false, runs: "", since: 0 };

const after = (args: readonly string[], name: string): string => args[args.indexOf(name) + 1] ?? "";
