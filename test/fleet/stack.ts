import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import type { FleetConfig } from "../../gateway/config.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { freePort } from "../support/free-ports.ts";
import { endWithUs } from "../support/orphans.ts";
import { processesNaming } from "../support/processes.ts";
import { untilStatus } from "../support/until-status.ts";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * A stack of its own, brought up by the commands that people type: own data, own Pulumi state, own
 * port. `remove` leaves nothing, whatever happened before.
 */
export class TestStack {
  readonly name = `t-${randomBytes(4).toString("hex")}`;
  readonly base = mkdtempSync(join(tmpdir(), "openclaw-fleet-"));
  readonly dataDir = join(this.base, "data");
  port = 0;
  /** Further environment of the commands. */
  env: NodeJS.ProcessEnv = {};
  #settings: Record<string, unknown> = {};
  readonly #removed = endWithUs({ naming: this.base, paths: [this.base, this.file] });

  static async create(settings: Record<string, unknown>): Promise<TestStack> {
    const stack = new TestStack();
    stack.port = await freePort();
    stack.set({ target: "local", port: stack.port, ...settings });
    return stack;
  }

  get file(): string {
    return join(ROOT, `Pulumi.${this.name}.yaml`);
  }

  /** Changes settings as a person edits the file; what Pulumi wrote into it stays. */
  set(settings: Record<string, unknown>): void {
    this.#settings = { ...this.#settings, ...settings };
    const salt = existsSync(this.file)
      ? (/^encryptionsalt: .*$/m.exec(readFileSync(this.file, "utf8"))?.[0] ?? "")
      : "";
    const config = Object.fromEntries(
      Object.entries(this.#settings).map(([key, value]) => [`openclaw-fleet:${key}`, value]),
    );
    writeFileSync(this.file, `${salt}\n${stringify({ config })}`);
  }

  /** Runs `./fleet` as a person without a terminal. */
  run(...args: string[]): Promise<Ran> {
    const child = spawn(join(ROOT, "fleet"), [...args, "--stack", this.name], {
      cwd: ROOT,
      env: {
        ...process.env,
        OPENCLAW_DATA_DIR: this.dataDir,
        PULUMI_BACKEND_URL: `file://${this.base}`,
        PULUMI_CONFIG_PASSPHRASE: "only for this test",
        NO_COLOR: "1",
        ...this.env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    return new Promise((resolve) =>
      child.once("close", (code) => resolve({ code, stdout, stderr })),
    );
  }

  /** As `run`; anything but success is an error that shows everything printed. */
  async ok(...args: string[]): Promise<Ran> {
    const ran = await this.run(...args);
    if (ran.code !== 0) {
      throw new Error(
        `./fleet ${args.join(" ")} ended with ${ran.code}\n${ran.stdout}\n${ran.stderr}\n${this.logs()}`,
      );
    }
    return ran;
  }

  get config(): FleetConfig {
    return JSON.parse(readFileSync(join(this.dataDir, "fleet.json"), "utf8")) as FleetConfig;
  }

  async fetch(
    path: string,
    options: { admin?: boolean; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Response> {
    const { tokens } = this.config;
    return fetch(`http://127.0.0.1:${this.port}${path}`, {
      method: options.body === undefined ? "GET" : "POST",
      headers: {
        authorization: `Bearer ${options.admin ? tokens.admin : tokens.client[0]}`,
        "content-type": "application/json",
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      signal: AbortSignal.timeout(180_000),
    });
  }

  /** One turn; throws on anything but an answer. */
  async chat(
    message: string,
    session: string,
    headers: Record<string, string> = {},
  ): Promise<{ reply: string; shard: string }> {
    const response = await this.fetch("/api/v1/chat", { body: { message, session }, headers });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`chat answered ${response.status}: ${text}`);
    return JSON.parse(text) as { reply: string; shard: string };
  }

  /**
   * A turn as a client runs it that wants its answer through the loss of the router it speaks to:
   * the same key again when the connection broke or a retry was offered, so it is never run twice.
   */
  async chatSurely(
    message: string,
    session: string,
    /** Which failures are worth another try. @default lost connections and what is retryable */
    again = /TypeError|"retryable":true/,
    timeoutMs = 180_000,
  ): Promise<{ reply: string; shard: string }> {
    const headers = { "idempotency-key": randomBytes(8).toString("hex") };
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      try {
        return await this.chat(message, session, headers);
      } catch (error) {
        if (!again.test(String(error)) || performance.now() > deadline) throw error;
        await sleep(200);
      }
    }
  }

  async status(): Promise<FleetStatus> {
    return (await (await this.fetch("/api/v1/fleet", { admin: true })).json()) as FleetStatus;
  }

  /** Waits until the fleet is as wanted; fails with the last state and the logs. */
  until(
    what: string,
    wanted: (status: FleetStatus) => boolean,
    timeoutMs = 180_000,
  ): Promise<FleetStatus> {
    return untilStatus(this, what, wanted, timeoutMs);
  }

  /** Pids of keeper and supervisor of a node. */
  nodePids(node: string): { keeper: number; supervisor: number } {
    const record = JSON.parse(
      readFileSync(join(this.dataDir, "nodes", node, "keeper.json"), "utf8"),
    ) as {
      pid: number;
      supervisor: { pid: number };
    };
    return { keeper: record.pid, supervisor: record.supervisor.pid };
  }

  /** Every process whose command line or environment names this stack's data directory. */
  processes(): number[] {
    return processesNaming(this.dataDir);
  }

  logs(): string {
    const nodes = join(this.dataDir, "nodes");
    if (!existsSync(nodes)) return "";
    return readdirSync(nodes)
      .map((id) => join(nodes, id, "node.log"))
      .filter((path) => existsSync(path))
      .map((path) => `--- ${path}\n${readFileSync(path, "utf8").split("\n").slice(-40).join("\n")}`)
      .join("\n");
  }

  async remove(): Promise<void> {
    await this.run("destroy", "--yes");
    for (const pid of this.processes()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Ended meanwhile.
      }
    }
    rmSync(this.base, { recursive: true, force: true });
    rmSync(this.file, { force: true });
    this.#removed();
  }
}
