import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { FleetConfig, NodeConfig, Release } from "../../gateway/config.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { nodeRunning, startNode, stopNode } from "../../gateway/keeper/launch.ts";
import { processStart, processStat } from "../../gateway/keeper/process.ts";
import { createPristine, SqliteLeaseStore } from "../../gateway/leases/sqlite.ts";
import type { ReplicationConfig } from "../../gateway/replication/settings.ts";
import { freePort } from "../support/free-ports.ts";
import { endWithUs } from "../support/orphans.ts";
import { untilStatus } from "../support/until-status.ts";
import type { Conduct } from "./programs/openclaw.ts";

const ROOT = join(import.meta.dirname, "../..");
const OPENCLAW = join(import.meta.dirname, "programs/openclaw.ts");

/** What a gateway of this fleet wrote of its own life. */
export interface Trace {
  event: "start" | "stop" | "turn" | "answered" | "overlap";
  pid: number;
  epoch: number;
  at: number;
  runId?: string;
  /** Of the stand-in; on starts. */
  version?: string;
}

export interface FastFleetOptions {
  nodes?: string[];
  shards?: number;
  /** Directory for the fleet's data, which must not exist. @default a temporary one */
  dataDir?: string;
  /** Redis for sessions. @default a file */
  redisUrl?: string;
  /**
   * Each node has a disk of its own, and state goes to a replica: what it is set to, given the directory of the
   * test. Only the file that says who owns what is shared.
   */
  replication?: (base: string) => ReplicationConfig;
  /** A real OpenClaw and the runtime as it is shipped, with the demo model. @default stand-ins from sources */
  real?: Release;
}

/**
 * Real nodes (keeper, supervisor, router, SQLite leases, state on disk) with gateways that boot at
 * once. `remove` leaves nothing, whatever happened before.
 */
export class FastFleet {
  readonly base = mkdtempSync(join(tmpdir(), "fleet-fast-"));
  readonly dataDir: string;
  readonly nodes: string[];
  readonly shards: string[];
  readonly tokens = {
    client: [randomBytes(16).toString("hex")] as [string],
    admin: randomBytes(16).toString("hex"),
    peer: randomBytes(16).toString("hex"),
  };
  readonly #redisUrl: string | undefined;
  readonly #replication: ReplicationConfig | undefined;
  readonly #real: Release | undefined;
  readonly #removed: () => void;
  port = 0;

  constructor(options: FastFleetOptions = {}) {
    const { nodes = ["a", "b"], shards = 2, dataDir, redisUrl, replication, real } = options;
    this.#real = real;
    this.nodes = nodes;
    this.#replication = replication?.(this.base);
    this.#redisUrl = redisUrl;
    this.shards = Array.from({ length: shards }, (_, i) => `s${i + 1}`);
    this.dataDir = dataDir ?? join(this.base, "data");
    this.#removed = endWithUs({ naming: this.dataDir, paths: [this.base] });
  }

  static async start(options: FastFleetOptions = {}): Promise<FastFleet> {
    const fleet = new FastFleet(options);
    await fleet.prepare();
    try {
      await Promise.all(fleet.nodes.map((node) => fleet.startNode(node)));
      await fleet.served();
    } catch (error) {
      await fleet.remove();
      throw error;
    }
    return fleet;
  }

  /** What a deployment writes before it starts the first node. */
  async prepare(): Promise<void> {
    this.port = await freePort();
    mkdirSync(this.dataDir, { recursive: true, mode: 0o700 });
    this.writeConfig(this.makeConfig());
    createPristine(this.leaseFile);
  }

  get leaseFile(): string {
    return join(this.dataDir, "leases.sqlite");
  }

  makeConfig(more: Partial<FleetConfig> = {}): FleetConfig {
    const shards = this.shards.map((id) => ({ id, agents: ["main"], recycleMiB: 2_500 }));
    return {
      version: 1,
      fleet: "fast",
      target: "local",
      preset: "small",
      host: "127.0.0.1",
      port: this.port,
      shards,
      agents: [
        {
          name: "main",
          shards: this.shards,
          homeShard: this.shards[0] as string,
          channels: {},
          cron: [],
          env: {},
        },
      ],
      models: this.#real ? "demo" : { primary: "none/none", fallbacks: [], providers: {} },
      openclaw: {},
      channelBinding: {},
      tokens: this.tokens,
      trustedProxies: [],
      scrapers: [],
      turnBudgetMs: 120_000,
      ...more,
    };
  }

  writeConfig(config: FleetConfig): void {
    this.writeRaw(JSON.stringify(config));
  }

  writeRaw(text: string): void {
    const file = join(this.dataDir, "fleet.json");
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** The disk of a node. */
  diskOf(node: string): string {
    return this.#replication ? join(this.base, `disk-${node}`) : this.dataDir;
  }

  nodeDir(node: string): string {
    return join(this.diskOf(node), "nodes", node);
  }

  /** What the nodes of a fleet on several machines would ask a server for. */
  share(node: string): void {
    const disk = this.diskOf(node);
    if (disk === this.dataDir) return;
    mkdirSync(disk, { recursive: true, mode: 0o700 });
    copyFileSync(join(this.dataDir, "fleet.json"), join(disk, "fleet.json"));
    const link = join(disk, "leases.sqlite");
    if (!lstatSync(link, { throwIfNoEntry: false })) symlinkSync(this.leaseFile, link);
  }

  /** Writes node.json and starts the node; with another release it runs that from now on. */
  async startNode(node: string, release: string | Release = "1.0.0"): Promise<void> {
    const config: NodeConfig = {
      version: 1,
      id: node,
      dataDir: this.diskOf(node),
      peerHost: "127.0.0.1",
      release: typeof release === "string" ? (this.#real ?? this.#standInOf(release)) : release,
      gatewayPortBase: 19_000,
      cores: 4,
      ...(this.#redisUrl === undefined ? {} : { redisUrl: this.#redisUrl }),
      ...(this.#replication === undefined ? {} : { replication: this.#replication }),
    };
    this.share(node);
    mkdirSync(this.nodeDir(node), { recursive: true });
    writeFileSync(join(this.nodeDir(node), "node.json"), JSON.stringify(config));
    await startNode({
      nodeDir: this.nodeDir(node),
      keeper: this.#real
        ? join(this.#real.runtime, "keeper.js")
        : join(ROOT, "gateway/keeper/main.ts"),
      supervisor: this.#real
        ? join(this.#real.runtime, "node.js")
        : join(ROOT, "gateway/node/main.ts"),
      timeoutMs: 60_000,
    });
  }

  /** The stand-in under a version: it knows it by where it lies. */
  #standInOf(version: string): Release {
    const openclaw = join(this.#versionDir(version), "openclaw.mjs");
    writeFileSync(openclaw, `await import(${JSON.stringify(OPENCLAW)});\n`);
    return { id: version, node: process.execPath, openclaw, runtime: ROOT };
  }

  #versionDir(version: string): string {
    const dir = join(this.base, "openclaw", version);
    mkdirSync(dir, { recursive: true });
    return dir;
  }

  /** How gateways of a version behave that start from now on. */
  conduct(version: string, conduct: Conduct): void {
    writeFileSync(join(this.#versionDir(version), "conduct.json"), JSON.stringify(conduct));
  }

  /** Brings a node to another release, as the deployment does. */
  async rollNode(node: string, release: string): Promise<void> {
    await this.command("drain", { node });
    await this.until(`${node} is empty`, (now) =>
      now.shards.every((s) => s.owner !== node && s.state === "serving"),
    );
    await this.stopNode(node);
    await this.startNode(node, release);
    await this.until(`${node} is there`, (now) =>
      now.nodes.some((n) => n.id === node && n.version === release),
    );
    await this.command("resume", { node });
  }

  stopNode(node: string, force = false): Promise<void> {
    return stopNode({ nodeDir: this.nodeDir(node), force });
  }

  /** What the deployment does with a node that is removed for good. */
  async forgetNode(node: string): Promise<void> {
    const store = new SqliteLeaseStore({ path: this.leaseFile });
    try {
      await store.forgetNode(node);
    } finally {
      await store.close();
    }
    rmSync(this.nodeDir(node), { recursive: true, force: true });
  }

  keeperPid(node: string): number {
    return this.#running(node).pid;
  }

  supervisorPid(node: string): number {
    return this.#running(node).supervisor?.pid ?? 0;
  }

  #running(node: string) {
    const record = nodeRunning(this.nodeDir(node));
    if (!record) throw new Error(`node ${node} does not run`);
    return record;
  }

  /** The node's keeper and everything below it. */
  family(node: string): number[] {
    const found = new Set([this.keeperPid(node)]);
    for (let before = 0; before !== found.size; ) {
      before = found.size;
      for (const entry of readdirSync("/proc")) {
        const stat = /^\d+$/.test(entry) ? processStat(Number(entry)) : null;
        if (stat && found.has(stat.ppid)) found.add(stat.pid);
      }
    }
    return [...found];
  }

  /** Kills every process of every node, and waits until they are gone. */
  async killAll(): Promise<void> {
    const pids = this.nodes.flatMap((node) => this.family(node));
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Its parent's end was its own.
      }
    }
    while (pids.some((pid) => processStart(pid) !== null)) await sleep(20);
  }

  async fetch(
    path: string,
    options: { admin?: boolean; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, {
      method: options.body === undefined ? "GET" : "POST",
      headers: {
        authorization: `Bearer ${options.admin ? this.tokens.admin : this.tokens.client[0]}`,
        "content-type": "application/json",
        connection: "close",
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      signal: AbortSignal.timeout(120_000),
    });
  }

  /** A turn of a client that wants its answer: the same key again when the connection broke. */
  async chat(message: string, session: string): Promise<{ reply: string; shard: string }> {
    const headers = { "idempotency-key": randomBytes(8).toString("hex") };
    const deadline = performance.now() + GIVE_UP_MS;
    for (;;) {
      try {
        const response = await this.fetch("/api/v1/chat", { body: { message, session }, headers });
        const text = await response.text();
        if (response.status === 200) return JSON.parse(text) as { reply: string; shard: string };
        throw new Error(`chat answered ${response.status}: ${text}`);
      } catch (error) {
        const again = error instanceof TypeError || /"retryable":true/.test(String(error));
        if (!again || performance.now() > deadline) throw error;
        await sleep(100);
      }
    }
  }

  /** Begins a session that lives on a shard of this node, which gets one if it came too late for any. */
  async sessionOn(node: string): Promise<{ session: string; shard: string }> {
    if (!(await this.status()).shards.some(({ owner }) => owner === node)) {
      const shard = this.shards[0] as string;
      await this.command("move", { shard, to: node });
      await this.until(`${node} serves ${shard}`, ({ shards }) =>
        shards.some(
          ({ id, owner, state }) => id === shard && owner === node && state === "serving",
        ),
      );
    }
    for (let i = 1; i < 50; i++) {
      const session = `${node}${i}`;
      const { shard } = await this.chat("one", session);
      if (ownerOf(await this.status(), shard).node === node) return { session, shard };
    }
    throw new Error(`${node} owns no shard`);
  }

  async command(command: "drain" | "resume" | "move", body: object): Promise<void> {
    const response = await this.fetch(`/api/v1/fleet/${command}`, { admin: true, body });
    if (response.status !== 200) throw new Error(`${command}: ${await response.text()}`);
  }

  async status(): Promise<FleetStatus> {
    return (await (await this.fetch("/api/v1/fleet", { admin: true })).json()) as FleetStatus;
  }

  /** Waits until the fleet is as wanted; fails with the last state and the nodes' logs. */
  until(
    what: string,
    wanted: (status: FleetStatus) => boolean,
    giveUpMs = GIVE_UP_MS,
  ): Promise<FleetStatus> {
    return untilStatus(this, what, wanted, giveUpMs);
  }

  /** All shards serve, and as many nodes as are started are active. */
  served(nodes = this.nodes.length): Promise<FleetStatus> {
    return this.until("everything serves", (status) => isServed(status, this.shards, nodes));
  }

  traces(shard: string): Trace[] {
    const disks = [...new Set(this.nodes.map((node) => this.diskOf(node)))];
    return disks
      .map((disk) => join(`${disk}.trace`, `${shard}.log`))
      .filter((file) => existsSync(file))
      .flatMap((file) => readFileSync(file, "utf8").split("\n").filter(Boolean))
      .map((line) => JSON.parse(line) as Trace)
      .sort((a, b) => a.at - b.at);
  }

  starts(shard: string): Trace[] {
    return this.traces(shard).filter(({ event }) => event === "start");
  }

  /** What must hold after whatever happened, from the gateways' own records. */
  faults(): string[] {
    return this.shards.flatMap((shard) => {
      const traces = this.traces(shard);
      const faults = traces
        .filter(({ event }) => event === "overlap")
        .map(({ pid }) => `${shard}: ${pid} started while another gateway lived`);
      const starts = this.starts(shard);
      for (const [i, { epoch, pid }] of starts.entries()) {
        const before = starts[i - 1]?.epoch ?? 0;
        if (epoch < before) faults.push(`${shard}: ${pid} has epoch ${epoch} after ${before}`);
      }
      // Nothing of a process after another one's start.
      for (const [i, { pid, event }] of traces.entries()) {
        const current = traces.slice(0, i + 1).findLast((each) => each.event === "start");
        if (event !== "overlap" && current && current.pid !== pid)
          faults.push(`${shard}: ${event} of ${pid} while ${current.pid} is its gateway`);
      }
      const answered = traces.filter(({ event }) => event === "answered");
      if (new Set(answered.map(({ runId }) => runId)).size !== answered.length)
        faults.push(`${shard}: a turn was answered twice`);
      return faults;
    });
  }

  logs(): string {
    return this.#made()
      .map((dir) => join(dir, "node.log"))
      .filter((path) => existsSync(path))
      .map((path) => `--- ${path}\n${readFileSync(path, "utf8").split("\n").slice(-40).join("\n")}`)
      .join("\n");
  }

  /** Directories of every node that there ever was. */
  #made(): string[] {
    const disks = new Set([this.dataDir, ...this.nodes.map((node) => this.diskOf(node))]);
    return [...disks]
      .map((disk) => join(disk, "nodes"))
      .filter((dir) => existsSync(dir))
      .flatMap((dir) => readdirSync(dir).map((id) => join(dir, id)));
  }

  async remove(): Promise<void> {
    for (const node of this.#made().map((dir) => basename(dir))) {
      try {
        for (const pid of this.family(node)) process.kill(pid, "SIGCONT");
      } catch {
        // It does not run.
      }
      await stopNode({ nodeDir: this.nodeDir(node), force: true });
    }
    rmSync(this.base, { recursive: true, force: true });
    this.#removed();
  }
}

/** Generous: it costs only failing tests. */
const GIVE_UP_MS = 90_000;

export function isServed(status: FleetStatus, shards: string[], nodes: number): boolean {
  const serving = status.shards.filter(({ state }) => state === "serving").map(({ id }) => id);
  return (
    serving.join() === shards.join() &&
    status.shards.length === shards.length &&
    status.nodes.filter(({ state }) => state === "active").length === nodes
  );
}

export function ownerOf(status: FleetStatus, shard: string): { node: string; pid: number } {
  const found = status.shards.find(({ id }) => id === shard);
  if (!found?.owner || !found.pid) throw new Error(`${shard} has no owner`);
  return { node: found.owner, pid: found.pid };
}
