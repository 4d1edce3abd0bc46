import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../eventually.ts";
import { freePort } from "../free-ports.ts";
import { type RedisBinary, redisBinary } from "./binary.ts";

/** A start on a loaded machine may take this long, ms. */
const START_MS = 60_000;

const living = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

export interface ServerOptions {
  /** Lines of its configuration beside port, directory and persistence (off unless said). */
  config?: readonly string[];
  sentinel?: boolean;
  /** Its plain port is 0 and this is the encrypted one. */
  tls?: { cert: string; key: string };
}

/** One real server in a directory and on a port of its own, which it keeps over restarts. */
export class RedisServer {
  readonly host = "127.0.0.1";
  readonly port: number;
  readonly dir: string;
  readonly #binary: RedisBinary;
  readonly #sentinel: boolean;
  #child: ChildProcess | null = null;

  private constructor(binary: RedisBinary, port: number, dir: string, sentinel: boolean) {
    this.#binary = binary;
    this.port = port;
    this.dir = dir;
    this.#sentinel = sentinel;
  }

  static async start(options: ServerOptions = {}): Promise<RedisServer> {
    const binary = await redisBinary();
    // A port that was free a moment ago may be somebody's by now: another is taken then.
    for (let attempt = 1; ; attempt++) {
      const dir = mkdtempSync(join(tmpdir(), "redis-"));
      const server = new RedisServer(binary, await freePort(), dir, options.sentinel ?? false);
      writeFileSync(server.#configPath, `${(await server.#config(options)).join("\n")}\n`);
      try {
        await server.start();
        return server;
      } catch (error) {
        await server.close();
        if (attempt >= 5) throw error;
      }
    }
  }

  get #configPath(): string {
    return join(this.dir, "server.conf");
  }

  async #config({ config = [], sentinel, tls }: ServerOptions): Promise<string[]> {
    const lines = [`bind ${this.host}`, `dir ${this.dir}`, `logfile ${join(this.dir, "log")}`];
    if (tls) {
      writeFileSync(join(this.dir, "cert.pem"), tls.cert);
      writeFileSync(join(this.dir, "key.pem"), tls.key, { mode: 0o600 });
      lines.push("port 0", `tls-port ${this.port}`, "tls-auth-clients no");
      lines.push(`tls-cert-file ${this.dir}/cert.pem`, `tls-key-file ${this.dir}/key.pem`);
      lines.push(`tls-ca-cert-file ${this.dir}/cert.pem`);
    } else lines.push(`port ${this.port}`);
    if (!sentinel) lines.push('save ""', "appendonly no", "daemonize no");
    if (config.some((line) => line.startsWith("cluster-enabled"))) {
      lines.push(`cluster-port ${await freePort()}`);
    }
    return [...lines, ...config];
  }

  /** Adds lines to its configuration; they count from the next start on. */
  configure(...lines: readonly string[]): void {
    appendFileSync(this.#configPath, `${lines.join("\n")}\n`);
  }

  /** Starts it, or starts it again; resolves once it takes connections. */
  async start(): Promise<void> {
    const args = [this.#configPath, ...(this.#sentinel ? ["--sentinel"] : [])];
    const child = spawn(this.#binary.path, args, {
      stdio: "ignore",
      env: { ...process.env, ...this.#binary.env },
    });
    this.#child = child;
    living.add(child);
    child.once("exit", () => living.delete(child));
    const failed = once(child, "exit").then(() => {
      throw new Error(`the server ended at its start:\n${this.log()}`);
    });
    await Promise.race([failed, eventually(() => reach(this.host, this.port), START_MS)]);
    failed.catch(() => {});
  }

  get pid(): number {
    return this.#child?.pid as number;
  }

  log(): string {
    try {
      return readFileSync(join(this.dir, "log"), "utf8");
    } catch {
      return "";
    }
  }

  /** Stops it where it stands; `SIGCONT` lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child?.kill(signal);
  }

  /** As a crash: nothing is written any more. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A port that nobody listens on now. */

async function reach(host: string, port: number): Promise<void> {
  const socket = connect({ host, port });
  try {
    await once(socket, "connect");
  } finally {
    socket.destroy();
  }
}
