import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { planEtcd } from "../../../components/etcd/plan.ts";
import { withSecrets } from "../../../components/host/secrets.ts";
import { HOST_PORTS, type HostContext, type HostFacts } from "../../../components/host/types.ts";
import { ClusterAdmin } from "../../../gateway/etcd/ask.ts";
import { type MemberFile, readMemberFile, selfOf } from "../../../gateway/etcd/member-file.ts";
import { prepare } from "../../../gateway/etcd/prepare.ts";
import { tend } from "../../../gateway/etcd/tend.ts";
import { issue, makeAuthority } from "../../../plugin/host/authority.ts";
import { ensureEtcd } from "../../../toolchain/etcd.ts";
import { memoryDisk } from "../../contracts/lease-fixtures.ts";
import { eventually } from "../../support/eventually.ts";
import { freePort } from "../../support/free-ports.ts";

/** Elections and joins on a loaded machine, ms. */
export const SETTLE_MS = 120_000;

const living = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

/** Hosts as their plans describe them, each with an address of its own on loopback. */
export class EtcdHosts {
  readonly folder = mkdtempSync(join(memoryDisk(), "etcd-hosts-"));
  readonly #hosts = new Map<string, EtcdHost>();
  #secrets: Record<string, string> = {};
  #ports = { etcdClient: 0, etcdPeer: 0 };
  #programs = { etcd: "", etcdctl: "" };

  static async open(names: readonly string[]): Promise<EtcdHosts> {
    const hosts = new EtcdHosts();
    hosts.#programs = await ensureEtcd();
    hosts.#ports = { etcdClient: await freePort(), etcdPeer: await freePort() };
    const now = new Date();
    const authority = await makeAuthority("test", now);
    hosts.#secrets = { "tls.ca": authority.cert };
    for (const [n, name] of names.entries()) {
      const address = `127.0.0.${n + 11}`;
      const leaf = await issue(
        authority,
        { fleet: "test", name, addresses: [address], days: 9 },
        now,
      );
      hosts.#secrets[`tls.${name}.cert`] = leaf.cert;
      hosts.#secrets[`tls.${name}.key`] = leaf.key;
      hosts.#hosts.set(name, new EtcdHost(name, address, join(hosts.folder, name)));
    }
    return hosts;
  }

  host(name: string): EtcdHost {
    const host = this.#hosts.get(name);
    if (!host) throw new Error(`no host is called ${name}`);
    return host;
  }

  /** Writes what the plan says to the host's own folder, as the deployment does. */
  deploy(name: string, members: readonly string[]): void {
    const host = this.host(name);
    const facts = ({ name, address }: EtcdHost): HostFacts => ({ name, address });
    const context: HostContext = {
      fleet: "test",
      self: facts(host),
      hosts: members.map((one) => facts(this.host(one))),
      paths: {
        release: join(this.folder, "release"),
        data: join(host.folder, "data"),
        etc: join(host.folder, "etc"),
        tls: join(host.folder, "tls"),
      },
      ports: { ...HOST_PORTS, ...this.#ports },
    };
    const part = planEtcd(context, { members, listen: host.address, snapshots: 2 });
    for (const path of Object.keys(part.directories ?? {})) mkdirSync(path, { recursive: true });
    for (const [path, file] of Object.entries(part.files ?? {})) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, withSecrets(file, this.#secrets), { mode: 0o600 });
    }
    host.use(join(context.paths.etc, "etcd/members.json"), this.#programs);
  }

  /** The members' own care, until all of these vote. */
  async tendUntil(all: readonly EtcdHost[], voters: readonly string[]): Promise<void> {
    await eventually(async () => {
      for (const host of all) await host.tend();
      for (const host of all) expect(await host.voters()).toEqual(voters);
    }, SETTLE_MS);
  }

  /** One host after another, as the deployment sets them up. */
  async bringUp(plan: readonly string[], prepared: (host: EtcdHost) => void = () => {}) {
    for (const name of plan) {
      this.deploy(name, plan);
      prepared(this.host(name));
      await this.host(name).start();
    }
    const all = plan.map((name) => this.host(name));
    await this.tendUntil(all, [...plan].sort());
    return all;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class EtcdHost {
  readonly name: string;
  readonly address: string;
  readonly folder: string;
  readonly said: string[] = [];
  #file: MemberFile | null = null;
  #path = "";
  #etcd = "";
  #child: ChildProcess | null = null;

  constructor(name: string, address: string, folder: string) {
    this.name = name;
    this.address = address;
    this.folder = folder;
    mkdirSync(folder);
  }

  get file(): MemberFile {
    if (!this.#file) throw new Error(`${this.name} is not deployed`);
    return this.#file;
  }

  get running(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  use(path: string, programs: { etcd: string; etcdctl: string }): void {
    // Two places that a test cannot have.
    const startConfig = join(this.folder, "start.json");
    const file = { ...readMemberFile(path), startConfig, etcdctl: programs.etcdctl };
    writeFileSync(path, JSON.stringify(file));
    this.#path = path;
    this.#file = readMemberFile(path);
    this.#etcd = programs.etcd;
  }

  /** What systemd does: prepares, then starts. */
  async start(giveUpMs = 60_000): Promise<"new" | "existing"> {
    const say = (line: string) => this.said.push(line);
    const deployedAtMs = statSync(this.#path).mtimeMs;
    const options = { say, giveUpMs, refusedMs: 1_000, deployedAtMs };
    const { state } = await prepare(this.file, options);
    const log = openSync(join(this.folder, "log"), "a");
    const child = spawn(this.#etcd, [`--config-file=${this.file.startConfig}`], {
      stdio: ["ignore", log, log],
      env: {},
    });
    closeSync(log);
    this.#child = child;
    living.add(child);
    child.once("exit", () => living.delete(child));
    return state;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** Its disk is gone. */
  wipe(): void {
    rmSync(this.file.home, { recursive: true, force: true });
    mkdirSync(this.file.home);
  }

  async tend(): Promise<string[]> {
    return tend(this.file, (line) => this.said.push(line));
  }

  admin(): ClusterAdmin {
    return new ClusterAdmin([selfOf(this.file).clientUrl], this.file);
  }

  /** Names of the voting members as this one reads them, sorted. Throws without a majority. */
  async voters(): Promise<string[]> {
    const admin = this.admin();
    try {
      await admin.readsWithMajority();
      const members = await admin.members();
      return members
        .filter(({ isLearner }) => !isLearner)
        .map(({ name = "?" }) => name)
        .sort();
    } finally {
      admin.close();
    }
  }

  log(): string {
    return readFileSync(join(this.folder, "log"), "utf8");
  }
}
