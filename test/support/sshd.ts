import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { processStat } from "../../gateway/keeper/process.ts";
import { cacheEntry } from "../../toolchain/cache.ts";
import { createProgress } from "../../toolchain/progress.ts";
import { onPath, unpackDebian } from "./debian-package.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-ports.ts";

const PACKAGES = ["openssh-server", "libwrap0"];

interface Program {
  path: string;
  env: NodeJS.ProcessEnv;
}

/** OpenSSH's server: on PATH, in its usual place, or Debian's, unpacked into the project's cache. */
export async function sshdProgram(): Promise<Program> {
  const found = onPath("sshd");
  if (found) return { path: found, env: {} };
  const entry = await cacheEntry("sshd", process.arch, async (folder) => unpack(folder), {
    progress: createProgress(),
  });
  const libraries = join(entry, "usr/lib");
  const folders = readdirSync(libraries).map((folder) => join(libraries, folder));
  const env = { LD_LIBRARY_PATH: folders.join(":") };
  return { path: join(entry, "usr/sbin/sshd"), env };
}

/** The cache may lie where another user cannot enter; a copy of the program lies where everybody can. */
function reachable({ path, env }: Program, base: string): Program {
  if (env.LD_LIBRARY_PATH === undefined) return { path, env };
  const copy = join(base, "program");
  cpSync(join(dirname(path), "../.."), copy, { recursive: true, verbatimSymlinks: true });
  return {
    path: join(copy, "usr/sbin/sshd"),
    env: { LD_LIBRARY_PATH: env.LD_LIBRARY_PATH.replaceAll(join(dirname(path), "../.."), copy) },
  };
}

function unpack(folder: string): void {
  try {
    unpackDebian(folder, PACKAGES);
  } catch (error) {
    throw new Error(
      `sshd is missing, and Debian's could not be fetched: ${(error as Error).message}. Install it (apt-get install openssh-server).`,
    );
  }
}

/** What sshd makes of a configuration, by option in lower case. Throws with its words. */
export async function judgeSshd(config: string): Promise<Map<string, string>> {
  const base = mkdtempSync(join(tmpdir(), "sshd-"));
  try {
    chmodSync(base, 0o755);
    const { path, env } = reachable(await sshdProgram(), base);
    const file = join(base, "config");
    writeFileSync(file, config);
    const [program = "", ...args] = asOther([path, "-T", "-f", file]);
    const text = execFileSync(program, args, {
      env: { ...process.env, ...env },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
    const pairs = text.split("\n").map((line): [string, string] => {
      const [name = "", ...value] = line.split(" ");
      return [name, value.join(" ")];
    });
    return new Map(pairs);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

/** Root's server wants an account of the system for its own separation; any other user's wants none. */
const OTHER = "daemon";

function asOther(command: readonly string[]): readonly string[] {
  if (process.getuid?.() !== 0) return command;
  return ["setpriv", `--reuid=${OTHER}`, `--regid=${OTHER}`, "--clear-groups", "--", ...command];
}

/** A real SFTP server of its own on loopback, with a client's key. */
export class TestSshd {
  readonly base: string;
  readonly folder: string;
  readonly port: number;
  readonly user: string;
  readonly #program: Program;
  #child: ChildProcess | null = null;

  private constructor(base: string, port: number, user: string, program: Program) {
    this.base = base;
    this.folder = join(base, "files");
    this.port = port;
    this.user = user;
    this.#program = program;
  }

  static async start(): Promise<TestSshd> {
    const base = mkdtempSync(join(tmpdir(), "sshd-"));
    const root = process.getuid?.() === 0;
    const user = root ? OTHER : userInfo().username;
    const program = reachable(await sshdProgram(), base);
    const server = new TestSshd(base, await freePort(), user, program);
    server.#prepare(root);
    await server.start();
    return server;
  }

  get settings() {
    return {
      kind: "sftp" as const,
      port: this.port,
      user: this.user,
      identityFile: join(this.base, "client"),
      knownHostsFile: join(this.base, "known_hosts"),
      folder: this.folder,
    };
  }

  #prepare(root: boolean): void {
    const { base } = this;
    chmodSync(base, 0o755);
    mkdirSync(this.folder);
    for (const name of ["client", "host"]) {
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(base, name)]);
    }
    const hostKey = readFileSync(join(base, "host.pub"), "utf8");
    writeFileSync(join(base, "known_hosts"), `127.0.0.1 ${hostKey}`);
    writeFileSync(join(base, "authorized"), readFileSync(join(base, "client.pub")));
    writeFileSync(join(base, "config"), this.#config());
    if (!root) return;
    const id = Number(execFileSync("id", ["-u", this.user], { encoding: "utf8" }));
    for (const path of ["host", "files", "authorized", "config"])
      chownSync(join(base, path), id, id);
  }

  #config(): string {
    return `${[
      `Port ${this.port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${join(this.base, "host")}`,
      `AuthorizedKeysFile ${join(this.base, "authorized")}`,
      "PidFile none",
      "UsePAM no",
      "StrictModes no",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "MaxSessions 4",
      "Subsystem sftp internal-sftp",
      "ForceCommand internal-sftp",
    ].join("\n")}\n`;
  }

  async start(): Promise<void> {
    const { path, env } = this.#program;
    const command = [path, "-D", "-e", "-f", join(this.base, "config")];
    const [program = "", ...args] = asOther(command);
    const child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    let said = "";
    child.stderr?.on("data", (text) => {
      said += text;
    });
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`sshd ended: ${said}`);
      await listens(this.port);
    });
  }

  /** Ends the server and every session of it at once. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child?.pid || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    // A session is a process in a group of its own.
    for (const pid of [...descendants(child.pid), child.pid]) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has just ended.
      }
    }
    await gone;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.base, { recursive: true, force: true });
  }
}

function descendants(root: number): number[] {
  const found = new Set([root]);
  for (let before = 0; before !== found.size; ) {
    before = found.size;
    for (const entry of readdirSync("/proc")) {
      const stat = /^\d+$/.test(entry) ? processStat(Number(entry)) : null;
      if (stat && found.has(stat.ppid)) found.add(stat.pid);
    }
  }
  found.delete(root);
  return [...found];
}

function listens(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}
