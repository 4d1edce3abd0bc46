import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { delimiter, dirname } from "node:path";
import { redisData, redisEtc } from "../../../components/redis/config.ts";
import type { RedisMode } from "../../../components/redis/layout.ts";
import {
  planRedis,
  redisAddresses,
  redisPasswords,
  redisUrl,
} from "../../../components/redis/plan.ts";
import { clusterFile, mendCluster } from "../../../gateway/redis-cluster/main.ts";
import { eventually } from "../eventually.ts";
import { HostWorld } from "../host-world.ts";
import { type RedisBinary, redisBinary } from "./binary.ts";
import type { Asked } from "./groups.ts";

/** A start on a loaded machine may take this long, ms. */
const START_MS = 60_000;
const UNIT = /^openclaw-fleet-(redis(-\d+)?|sentinel)\.service$/;

const living = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

/**
 * Redis on several hosts as planned: each host is an address of loopback, and the programs are started by
 * the command lines of their units. What is not planned: one more user, who may do all that tests do.
 */
export class PlannedRedis {
  readonly hosts: HostWorld;
  readonly mode: RedisMode;
  readonly #binary: RedisBinary;
  readonly #memoryMiB: number;
  /** By host and unit. */
  readonly #running = new Map<string, { child: ChildProcess; said: string[] }>();

  private constructor(hosts: HostWorld, mode: RedisMode, binary: RedisBinary, memoryMiB: number) {
    this.hosts = hosts;
    this.mode = mode;
    this.#binary = binary;
    this.#memoryMiB = memoryMiB;
  }

  static async start(mode: RedisMode, count: number, memoryMiB = 64): Promise<PlannedRedis> {
    const hosts = await HostWorld.make(count);
    for (const name of redisPasswords(mode)) {
      hosts.secrets.set(
        name,
        Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url"),
      );
    }
    const redis = new PlannedRedis(hosts, mode, await redisBinary(), memoryMiB);
    for (const { name } of hosts.hosts) await redis.install(name);
    return redis;
  }

  /** The address of the fleet's sessions, as node.json has it. */
  get url(): string {
    const name = this.hosts.hosts[0]?.name ?? "";
    const context = this.hosts.context(name);
    const at = redisAddresses(context, this.mode)?.join(",") ?? "";
    return this.hosts.revealed(redisUrl(context, this.mode).replace("{redis}", at));
  }

  plan(name: string) {
    return planRedis(this.hosts.context(name), { mode: this.mode, memoryMiB: this.#memoryMiB });
  }

  /** Writes a host's part and starts its units, as a deployment does. */
  async install(name: string): Promise<void> {
    const part = this.plan(name);
    this.hosts.write(part);
    const etc = redisEtc(this.hosts.context(name).paths);
    for (const users of ["users.acl", "sentinel-users.acl"]) {
      const path = `${etc}/${users}`;
      if (existsSync(path)) appendFileSync(path, "user test on nopass ~* &* +@all\n");
    }
    for (const unit of this.units(name)) await this.startUnit(name, unit);
  }

  /** Redis's units of a host, in the order of their start. */
  units(name: string): string[] {
    const units = Object.entries(this.plan(name).units ?? {});
    return units
      .filter(([unit, { state }]) => UNIT.test(unit) && state === "enabled")
      .sort(([, one], [, other]) => one.order - other.order)
      .map(([unit]) => unit);
  }

  /** Starts a unit by its own lines. */
  async startUnit(name: string, unit: string): Promise<void> {
    const text = this.plan(name).units?.[unit]?.content ?? "";
    const line = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(text)?.[1];
    const env = {
      ...process.env,
      ...this.#binary.env,
      PATH: [dirname(this.#binary.path), process.env.PATH].join(delimiter),
    };
    const prepare = line("ExecStartPre")?.split(" ");
    if (prepare) {
      const { status, stderr } = spawnSync(prepare[0] as string, prepare.slice(1), {
        env,
        encoding: "utf8",
      });
      if (status !== 0) throw new Error(`${prepare.join(" ")} ended with ${status}: ${stderr}`);
    }
    const [program, ...args] = (line("ExecStart") ?? "").split(" ");
    if (program !== "/usr/bin/redis-server") throw new Error(`no Redis: ${program}`);
    const child = spawn(this.#binary.path, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    const said: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => said.push(String(chunk)));
    }
    living.add(child);
    child.once("exit", () => living.delete(child));
    this.#running.set(`${name} ${unit}`, { child, said });
    const { address, port } = this.at(name, unit);
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`${unit} ended:\n${said.join("")}`);
      const socket = connect(port, address);
      try {
        await once(socket, "connect");
      } finally {
        socket.destroy();
      }
    }, START_MS);
  }

  at(name: string, unit: string): { address: string; port: number } {
    const { self, ports } = this.hosts.context(name);
    const number = Number(/-redis-(\d+)\./.exec(unit)?.[1] ?? 1);
    const port = unit.includes("sentinel") ? ports.sentinel : ports.redis + number - 1;
    return { address: self.address, port };
  }

  said(name: string, unit: string): string {
    return this.#running.get(`${name} ${unit}`)?.said.join("") ?? "";
  }

  signal(name: string, unit: string, signal: NodeJS.Signals): void {
    this.#running.get(`${name} ${unit}`)?.child.kill(signal);
  }

  /** As a crash. */
  async kill(name: string, unit: string): Promise<void> {
    const child = this.#running.get(`${name} ${unit}`)?.child;
    this.#running.delete(`${name} ${unit}`);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** All of a host's Redis, at once; `empty`: its disk as well. */
  async loseHost(name: string, empty = false): Promise<void> {
    await Promise.all(this.units(name).map((unit) => this.kill(name, unit)));
    if (empty) rmSync(redisData(this.hosts.context(name).paths), { recursive: true });
  }

  /** Starts what a test left dead. */
  async restore(): Promise<void> {
    for (const { name } of this.hosts.hosts) {
      const dead = this.units(name).some((unit) => !this.#running.has(`${name} ${unit}`));
      if (!dead) continue;
      await this.loseHost(name);
      await this.install(name);
    }
  }

  /** Every server, as somebody who may do all. */
  servers(): (Asked & { name: string; unit: string })[] {
    return this.hosts.hosts.flatMap(({ name }) =>
      this.units(name)
        .filter((unit) => !unit.includes("sentinel"))
        .map((unit) => ({ name, unit, ...this.asked(name, unit) })),
    );
  }

  asked(name: string, unit: string): Asked {
    const { address, port } = this.at(name, unit);
    const tls = { ca: this.hosts.authority.cert };
    return { host: address, port, access: { username: "test", password: "x", tls } };
  }

  /** What the timer of every host does for a cluster. */
  async mend(...names: string[]): Promise<string[]> {
    const lines: string[] = [];
    const on = names.length > 0 ? names : this.hosts.hosts.map(({ name }) => name);
    await Promise.all(
      on.map(async (name) => {
        const path = `${redisEtc(this.hosts.context(name).paths)}/cluster.json`;
        const file = clusterFile.parse(JSON.parse(readFileSync(path, "utf8")));
        await mendCluster(file, (line) => lines.push(`${name}: ${line}`));
      }),
    );
    return lines;
  }

  async close(): Promise<void> {
    const all = [...this.#running.keys()].map((key) => key.split(" ") as [string, string]);
    await Promise.all(all.map(([name, unit]) => this.kill(name, unit)));
    this.hosts.close();
  }
}
