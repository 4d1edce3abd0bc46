import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { issue, makeAuthority } from "../../../plugin/host/authority.ts";
import { ensureEtcd } from "../../../toolchain/etcd.ts";
import { memoryDisk } from "../../contracts/lease-fixtures.ts";
import { eventually } from "../eventually.ts";
import { freePort } from "../free-ports.ts";
import { TcpProxy } from "./proxy.ts";

/** A start, or an election, on a loaded machine may take this long, ms. */
export const SETTLE_MS = 120_000;

const living = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

/** PEM files of an authority and of one certificate of 127.0.0.1 for both sides. */
export interface TestTls {
  ca: string;
  cert: string;
  key: string;
}

export async function writeTls(folder: string, name = "node"): Promise<TestTls> {
  const now = new Date();
  const authority = await makeAuthority("test", now);
  const leaf = await issue(
    authority,
    { fleet: "test", name, addresses: ["127.0.0.1", "localhost"], days: 30 },
    now,
  );
  const files = {
    ca: join(folder, "ca.pem"),
    cert: join(folder, `${name}.pem`),
    key: join(folder, `${name}.key`),
  };
  writeFileSync(files.ca, authority.cert);
  writeFileSync(files.cert, leaf.cert);
  writeFileSync(files.key, leaf.key, { mode: 0o600 });
  return files;
}

/** One etcd process, with a directory and ports that it keeps over restarts. */
export class Member {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** What the others call: its peer port, behind a proxy. */
  readonly peerProxy: TcpProxy;
  dir: string;
  readonly #run: { binary: string; tls: TestTls; folder: string };
  #child: ChildProcess | null = null;
  #paused = false;

  constructor(
    name: string,
    ports: { client: number; peer: number; proxy: TcpProxy },
    run: { binary: string; tls: TestTls; folder: string },
  ) {
    this.name = name;
    this.clientPort = ports.client;
    this.peerPort = ports.peer;
    this.peerProxy = ports.proxy;
    this.dir = join(run.folder, `${name}.etcd`);
    this.#run = run;
  }

  get clientUrl(): string {
    return `https://127.0.0.1:${this.clientPort}`;
  }

  get peerUrl(): string {
    return `https://127.0.0.1:${this.peerProxy.port}`;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get log(): string {
    return readFileSync(join(this.#run.folder, `${this.name}.log`), "utf8");
  }

  /** Starts it; whether it finds a quorum shows later. */
  start(initialCluster: string, state: "new" | "existing", token: string): void {
    const { binary, tls, folder } = this.#run;
    const pem = (prefix: string) => [
      `--${prefix}trusted-ca-file=${tls.ca}`,
      `--${prefix}cert-file=${tls.cert}`,
      `--${prefix}key-file=${tls.key}`,
      `--${prefix}client-cert-auth`,
    ];
    const log = openSync(join(folder, `${this.name}.log`), "a");
    const child = spawn(
      binary,
      [
        `--name=${this.name}`,
        `--data-dir=${this.dir}`,
        `--listen-client-urls=${this.clientUrl}`,
        `--advertise-client-urls=${this.clientUrl}`,
        `--listen-peer-urls=https://127.0.0.1:${this.peerPort}`,
        `--initial-advertise-peer-urls=${this.peerUrl}`,
        `--initial-cluster=${initialCluster}`,
        `--initial-cluster-state=${state}`,
        `--initial-cluster-token=${token}`,
        "--tls-min-version=TLS1.3",
        "--max-txn-ops=1200",
        ...pem(""),
        ...pem("peer-"),
      ],
      { stdio: ["ignore", log, log], env: { PATH: process.env.PATH ?? "" } },
    );
    closeSync(log);
    this.#child = child;
    this.#paused = false;
    living.add(child);
    child.once("exit", () => living.delete(child));
  }

  pause(): void {
    this.#paused = true;
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#paused = false;
    this.#child?.kill("SIGCONT");
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** As a crash. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }
}

/** Members on loopback, with TLS both ways, each reached by the others through a proxy. */
export class EtcdCluster {
  readonly folder: string;
  readonly tls: TestTls;
  readonly members: Member[];
  #token = "t1";

  private constructor(folder: string, tls: TestTls, members: Member[]) {
    this.folder = folder;
    this.tls = tls;
    this.members = members;
  }

  static async start(count = 3): Promise<EtcdCluster> {
    const { etcd } = await ensureEtcd();
    const folder = mkdtempSync(join(memoryDisk(), "etcd-"));
    const tls = await writeTls(folder);
    const members: Member[] = [];
    for (let n = 0; n < count; n++) {
      const peer = await freePort();
      const ports = { client: await freePort(), peer, proxy: await TcpProxy.open(peer) };
      members.push(new Member(`m${n}`, ports, { binary: etcd, tls, folder }));
    }
    const cluster = new EtcdCluster(folder, tls, members);
    await cluster.startAll("new");
    return cluster;
  }

  get endpoints(): string[] {
    return this.members.map(({ clientUrl }) => clientUrl);
  }

  async startAll(state: "new" | "existing"): Promise<void> {
    for (const member of this.members) this.startMember(member, state);
    await this.settled();
  }

  startMember(member: Member, state: "new" | "existing" = "existing"): void {
    const names = this.members.map(({ name, peerUrl }) => `${name}=${peerUrl}`);
    member.start(names.join(), state, this.#token);
  }

  /** Waits until every running member follows the same leader. */
  async settled(): Promise<Member> {
    return eventually(async () => {
      const running = this.members.filter(({ pid, paused }) => pid !== null && !paused);
      const said = await Promise.all(running.map((member) => this.status(member)));
      const [first] = said;
      if (!first?.leader || first.leader === "0") throw new Error("no leader");
      if (said.some(({ leader }) => leader !== first.leader)) throw new Error("several leaders");
      const at = said.findIndex(({ header }) => header.member_id === first.leader);
      if (at < 0) throw new Error("the leader is not among those that run");
      return running[at] as Member;
    }, SETTLE_MS);
  }

  /** The member that leads now. */
  leader(): Promise<Member> {
    return this.settled();
  }

  async status(
    member: Member,
  ): Promise<{ leader?: string; header: { member_id: string; revision: string } }> {
    return this.ask(member, "/v3/maintenance/status", {});
  }

  /** One question to one member. */
  async ask<T>(member: Member, path: string, body: object): Promise<T> {
    const { EtcdClient } = await import("../../../gateway/leases/etcd-client.ts");
    const client = new EtcdClient({ endpoints: [member.clientUrl], tls: this.tls, warn() {} });
    try {
      return await client.call<T>(path, body, 5_000);
    } finally {
      client.close();
    }
  }

  /** Nothing passes between these members and the others, in either direction; clients reach all. */
  isolate(...alone: readonly Member[]): void {
    const pids = this.members.map(({ pid }) => pid as number);
    const inside = new Set(alone.map(({ pid }) => pid));
    for (const member of this.members) {
      const here = inside.has(member.pid);
      member.peerProxy.block((caller) => inside.has(caller) !== here, pids);
    }
  }

  heal(): void {
    for (const { peerProxy } of this.members) peerProxy.heal();
  }

  async killAll(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
  }

  /** Everything stored is gone, and another cluster is in its place. */
  async recreate(): Promise<void> {
    await this.killAll();
    for (const { dir } of this.members) rmSync(dir, { recursive: true, force: true });
    await this.startAll("new");
  }

  /** A name for a cluster made from a restored snapshot. */
  set token(token: string) {
    this.#token = token;
  }

  async close(): Promise<void> {
    await this.killAll();
    await Promise.all(this.members.map(({ peerProxy }) => peerProxy.close()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
