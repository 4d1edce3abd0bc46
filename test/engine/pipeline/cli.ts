import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stringify } from "yaml";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";
import { WorldStore } from "../../standin/store.ts";
import type { World } from "../../standin/world.ts";

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The commands that people type, over stand-ins for AWS, with a backend and an account of their own. */
export class Pipeline {
  readonly home = mkdtempSync(join(tmpdir(), "fleet-pipeline-"));
  readonly backend = `file://${join(this.home, "state")}`;
  readonly #stacks: string[] = [];
  /** Further environment of the commands. */
  env: NodeJS.ProcessEnv = {};

  constructor() {
    mkdirSync(join(this.home, "state"));
  }

  /** A name that no other test has. */
  name(prefix = "t"): string {
    const name = `${prefix}-${randomBytes(3).toString("hex")}`;
    this.#stacks.push(name);
    return name;
  }

  file = (stack: string): string => join(PROJECT_ROOT, `Pulumi.${stack}.yaml`);

  /** Writes a stack's settings, as a person edits the file; what Pulumi wrote into it stays. */
  settings(stack: string, settings: Readonly<Record<string, unknown>>): void {
    const before = existsSync(this.file(stack)) ? readFileSync(this.file(stack), "utf8") : "";
    const salt = /^encryptionsalt: .*$/m.exec(before)?.[0] ?? "";
    const config = Object.fromEntries(
      Object.entries(settings).map(([key, value]) => [`openclaw-fleet:${key}`, value]),
    );
    writeFileSync(this.file(stack), `${salt}\n${stringify({ config })}`);
  }

  get variables(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      PATH: [
        join(PROJECT_ROOT, "test", "standin", "bin"),
        dirname(process.execPath),
        process.env.PATH,
      ].join(":"),
      OPENCLAW_DATA_DIR: join(this.home, "data"),
      PULUMI_BACKEND_URL: this.backend,
      PULUMI_CONFIG_PASSPHRASE: "only for this test",
      STANDIN_ACCOUNT: join(this.home, "account.sqlite"),
      NO_COLOR: "1",
      ...this.env,
    };
  }

  /** Runs `./fleet` as a person without a terminal; `signal` kills it, and what it started, at once. */
  run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    return this.start(args, env).done;
  }

  start(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const child = spawn(join(PROJECT_ROOT, "fleet"), args, {
      cwd: PROJECT_ROOT,
      env: { ...this.variables, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that a test can kill all of it as a machine that is lost does.
      detached: true,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const done = new Promise<Ran>((resolve) =>
      child.once("close", (code) => resolve({ code, stdout, stderr })),
    );
    const killAll = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // Ended by itself.
      }
    };
    return { done, killAll, seen: () => stdout + stderr };
  }

  /** As `run`; anything but success is an error that shows everything printed. */
  async ok(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    const ran = await this.run(args, env);
    if (ran.code === 0) return ran;
    throw new Error(`./fleet ${args.join(" ")}: ${ran.code}\n${ran.stdout}\n${ran.stderr}`);
  }

  /** Looks into the account, or changes it behind the stack's back. */
  account<T>(look: (world: World) => T): T {
    const store = new WorldStore(join(this.home, "account.sqlite"));
    try {
      return store.work(look);
    } finally {
      store.close();
    }
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
    for (const stack of this.#stacks) rmSync(this.file(stack), { force: true });
  }
}
