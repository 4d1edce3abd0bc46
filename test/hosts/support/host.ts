import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";

import { dirname, join } from "node:path";
import { makeSshKey } from "../../../plugin/host/ssh-key.ts";
import { eventually } from "../../support/eventually.ts";
import {
  answers,
  bootCommand,
  copyImage,
  DATA,
  type HostMakings,
  hostsFile,
  makeDataDisk,
  networkFile,
} from "./boot.ts";
import { initBelow, type RunOptions, type RunResult, run, startTied } from "./machine.ts";
import { addressOf, ofImage } from "./network.ts";

/** A host boots in two seconds on an idle machine, ms. */
const BOOT_MS = 120_000;

/** What fills a disk. */
const FILLER = `${DATA}/.filler`;

export class TestHost {
  readonly name: string;
  readonly address: string;
  #hostKey = "";
  readonly #makings: HostMakings;
  readonly #folder: string;
  #running: { pid: number; ended: Promise<void> } | null = null;

  constructor(makings: HostMakings, name: string) {
    this.name = name;
    this.#makings = makings;
    this.#folder = join(makings.folder, name);
    this.address = addressOf(makings.network, makings.names.indexOf(name));
    this.#identify();
  }

  /** Gives a new disk what is this host's alone. */
  #identify(): void {
    const { publicKey } = this.#makings;
    const key = makeSshKey();
    this.#hostKey = key.pub;
    this.write("/etc/ssh/ssh_host_ecdsa_key", key.key, 0o600);
    this.write("/etc/ssh/lab_keys", `${publicKey}\n`);
    this.write("/etc/machine-id", `${randomBytes(16).toString("hex")}\n`, 0o444);
    this.write("/etc/hostname", `${this.name}\n`);
    this.write("/etc/hosts", hostsFile(this.#makings));
    this.write("/etc/systemd/network/10-host0.network", networkFile(this.address));
    mkdirSync(join(this.#folder, "work"), { recursive: true });
  }

  /** Its public host key: `ecdsa-sha2-nistp256 AAAA…`; another once it was replaced. */
  get hostKey(): string {
    return this.#hostKey;
  }

  /** Control group of everything on the host, below that of this process. */
  get #group(): string {
    return `openclaw-lab-${this.#makings.id}-${this.name}`;
  }

  /** Where files put there before a start belong. */
  get #disk(): string {
    return join(this.#folder, this.#makings.overlay ? "disk" : "root");
  }

  /**
   * Puts a file on its disk while it is off, as an image brings it.
   * @param mode @default 0644
   */
  write(path: string, text: string, mode = 0o644): void {
    if (this.#running) throw new Error(`host ${this.name} is running`);
    const file = join(this.#disk, path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, text, { mode });
  }

  /** True from its start until its power is off. */
  get running(): boolean {
    return this.#running !== null;
  }

  /** Number of its PID 1 on this machine; throws while it is off. */
  get pid(): number {
    const pid = this.#running && initBelow(this.#running.pid);
    if (!pid) throw new Error(`host ${this.name} is off`);
    return pid;
  }

  /** Switches it on, and waits until systemd has started everything and sshd answers. */
  async start(): Promise<void> {
    if (this.#running) throw new Error(`host ${this.name} is running`);
    await makeDataDisk(this.#makings, this.#folder);
    const { argv, env } = bootCommand(this.#makings, this.name, this.#folder, this.#group);
    const started = startTied(argv, { env, log: join(this.#folder, "console.log") });
    this.#running = started;
    const over = { now: false };
    void started.ended.then(() => {
      over.now = true;
      if (this.#running === started) this.#running = null;
    });
    await this.#booted(over);
  }

  async #booted(over: { now: boolean }): Promise<void> {
    try {
      await eventually(async () => {
        if (over.now) return;
        const { stdout } = await this.run(["systemctl", "is-system-running"], { check: false });
        if (!/^(running|degraded)/.test(stdout)) throw new Error(`systemd says ${stdout.trim()}`);
        await answers(this.address, 22);
      }, BOOT_MS);
      if (over.now) throw new Error("it ended by itself");
    } catch (error) {
      const console = readFileSync(join(this.#folder, "console.log"), "utf8").slice(-2_000);
      throw new Error(`host ${this.name} did not boot: ${(error as Error).message}\n${console}`);
    }
  }

  /** Power loss: everything on it ends at once. What was written stays (its page cache is this machine's). */
  async powerOff(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    const cable = this.#cable();
    this.#control("cgroup.kill", "1");
    await running.ended;
    this.#running = null;
    // The kernel takes it away too, but only some time after the last process has ended.
    if (cable)
      await run(ofImage(this.#makings.base, ["ip", "link", "del", cable]), { check: false });
  }

  /** An orderly shutdown, as by `systemctl poweroff`. */
  async shutDown(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    await this.run(["systemctl", "poweroff"], { check: false });
    await running.ended;
    this.#running = null;
  }

  /** `systemctl reboot`, until it has booted again. Faults of its network end by it. */
  async reboot(): Promise<void> {
    await this.shutDown();
    await this.start();
  }

  /**
   * Another machine takes its name and address: a new disk with other keys. Its disk for what counts
   * (`dataMiB`) is moved over. It is left off.
   */
  async replace(): Promise<void> {
    await this.powerOff();
    const { overlay, base } = this.#makings;
    const former = join(this.#folder, `before-${randomBytes(3).toString("hex")}`);
    mkdirSync(former);
    // Removed with the lab: tens of thousands of files are a minute on a busy disk.
    for (const name of overlay ? ["disk", "work"] : ["root"]) {
      renameSync(join(this.#folder, name), join(former, name));
    }
    if (!overlay) await copyImage(base, this.#folder);
    this.#identify();
  }

  /** Everything on it stands still, as when its provider moves it to another machine. */
  async freeze(): Promise<void> {
    this.#control("cgroup.freeze", "1");
    await eventually(() => {
      if (!readFileSync(this.#file("cgroup.events"), "utf8").includes("frozen 1")) {
        throw new Error(`host ${this.name} did not freeze`);
      }
    });
  }

  async thaw(): Promise<void> {
    this.#control("cgroup.freeze", "0");
  }

  /** True while all of it stands still, as the kernel says. */
  get frozen(): boolean {
    return this.#running !== null && read(this.#file("cgroup.events")).includes("frozen 1");
  }

  /** Whether a process, by its number on this machine, runs on it. */
  has(pid: number): boolean {
    const groups = read(`/proc/${pid}/cgroup`).split("\n");
    return groups.some((line) => line.split("/").includes(this.#group));
  }

  #file(name: string): string {
    const running = this.#running;
    if (!running) throw new Error(`host ${this.name} is off`);
    // Through its own mounts: this process does not have them.
    return join(`/proc/${running.pid}/root`, this.#folder, "cgroup", this.#group, name);
  }

  #control(name: string, value: string): void {
    writeFileSync(this.#file(name), value);
  }

  /**
   * Runs a command (argv) or a script of sh as root on the host, not through its network, so in any
   * partition too. Throws when it fails, unless `check` is false.
   */
  run(command: string | readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const argv = typeof command === "string" ? ["sh", "-c", command] : command;
    return this.#enter(["mount", "uts", "ipc", "net", "pid", "cgroup"], argv, options);
  }

  async #enter(spaces: readonly string[], argv: readonly string[], options: RunOptions) {
    const env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"];
    return await run(
      [
        ...["nsenter", `--target=${this.pid}`, "--root", "--wd", ...spaces.map((s) => `--${s}`)],
        ...["env", "-i", ...env, ...argv],
      ],
      options,
    );
  }

  /** Text of a file on the host; null when there is none. */
  async readFile(path: string): Promise<string | null> {
    const { code, stdout } = await this.run(["cat", path], { check: false });
    return code === 0 ? stdout : null;
  }

  /** Nothing comes in or goes out any more; nobody is told. */
  cutNetwork(): Promise<void> {
    return this.#drop(["in", "out"], []);
  }

  /**
   * A partition in one direction: `in` drops what comes to this host, `out` what it sends; from or to these
   * hosts alone when some are named.
   */
  cutOneWay(direction: "in" | "out", others: readonly TestHost[] = []): Promise<void> {
    return this.#drop([direction], others);
  }

  /** A partition from these hosts alone; the rest, and this machine, still reach it. */
  cutFrom(others: readonly TestHost[]): Promise<void> {
    return this.#drop(["in", "out"], others);
  }

  /** Ends every cut and every slow link. */
  async heal(): Promise<void> {
    await this.run("nft destroy table inet lab 2>/dev/null || nft delete table inet lab || :");
    await this.run("tc qdisc del dev host0 root 2>/dev/null || :");
    await this.#shape("del", [], false);
  }

  async #drop(directions: readonly ("in" | "out")[], others: readonly TestHost[]): Promise<void> {
    const chains = directions.map((direction) => {
      const [hook, side] = direction === "in" ? ["input", "saddr"] : ["output", "daddr"];
      const own = direction === "in" ? "iifname" : "oifname";
      const whom = others.map(({ address }) => address).join(", ");
      const rule = whom === "" ? "drop" : `ip ${side} { ${whom} } drop`;
      return `chain ${direction} { type filter hook ${hook} priority -300; ${own} "host0" ${rule}; }`;
    });
    const rules = `table inet lab\ndelete table inet lab\ntable inet lab {\n${chains.join("\n")}\n}\n`;
    await this.run(["nft", "-f", "-"], { stdin: rules });
  }

  /** Its network carries only so much in each direction, kbit/s. */
  async slowNetwork(kbitPerSecond: number): Promise<void> {
    const shape = ["tbf", "rate", `${kbitPerSecond}kbit`, "burst", "16kb", "latency", "400ms"];
    await this.run(["tc", "qdisc", "replace", "dev", "host0", "root", ...shape]);
    await this.#shape("replace", shape);
  }

  /** Limits what the host receives, at this machine's end of its cable. */
  #shape(verb: string, shape: readonly string[] = [], check = true): Promise<RunResult> {
    const cable = this.#cable();
    if (!cable) throw new Error(`the cable of host ${this.name} is gone`);
    const argv = ["tc", "qdisc", verb, "dev", cable, "root", ...shape];
    return run(ofImage(this.#makings.base, argv), { check });
  }

  /** Name of this machine's end of the host's cable. */
  #cable(): string | null {
    const init = this.#running && initBelow(this.#running.pid);
    const index = init && read(`/proc/${init}/root/sys/class/net/host0/iflink`).trim();
    const net = "/sys/class/net";
    return (
      (index &&
        readdirSync(net).find((name) => read(join(net, name, "ifindex")).trim() === index)) ||
      null
    );
  }

  /** Nothing more can be written where the host keeps what counts, which has a disk of its own (`dataMiB`). */
  async fillDisk(): Promise<void> {
    if (this.#makings.dataMiB === 0) throw new Error(`host ${this.name} has no disk of its own`);
    await this.run(`cat /dev/zero > ${FILLER} 2>/dev/null || sync ${FILLER}`);
  }

  async freeDisk(): Promise<void> {
    await this.run(["rm", "-f", FILLER]);
  }

  /** The last lines of its journal, for a test that failed. */
  async journal(lines = 100): Promise<string> {
    const { stdout } = await this.run(["journalctl", "--no-pager", "-n", String(lines)]);
    return stdout;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // a device that went away
    return "";
  }
}
