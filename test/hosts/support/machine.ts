import { execFile, execFileSync, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string | Uint8Array;
  /** False: a command that fails is an answer too. @default true */
  readonly check?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

/** Longest a command of a lab may take, ms. */
const COMMAND_MS = 300_000;

/** Runs a program of this machine to its end. Throws with what it wrote when it failed. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [file, ...args] = argv as [string, ...string[]];
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      { env: options.env ?? process.env, maxBuffer: 2 ** 26, timeout: COMMAND_MS },
      (error, stdout, stderr) => {
        const code = error ? (typeof error.code === "number" ? error.code : 128) : 0;
        const failed = code !== 0 && (options.check ?? true);
        if (error && (failed || error.code === "ENOENT")) {
          reject(new Error(`${argv.join(" ").slice(0, 300)}: exit ${code}\n${stdout}${stderr}`));
        } else resolve({ code, stdout, stderr });
      },
    );
    // A command that does not read what it is given is no failure.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.stdin ?? "");
  });
}

/** Runs a program of this machine at once, for clean-up while the process ends; failures do not matter. */
export function runQuietly(argv: readonly string[]): void {
  const [file, ...args] = argv as [string, ...string[]];
  try {
    execFileSync(file, args, { stdio: "ignore", timeout: 20_000 });
  } catch {
    // it was not there
  }
}

/** Starts a program whose end is tied to this process's; its output goes to a file. */
export function startTied(
  argv: readonly string[],
  { env, log }: { env: NodeJS.ProcessEnv; log: string },
): { pid: number; ended: Promise<void> } {
  const output = openSync(log, "a");
  const child = spawn("setpriv", ["--pdeathsig", "KILL", ...argv], {
    env,
    stdio: ["ignore", output, output],
    detached: true,
  });
  closeSync(output);
  const ended = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
  if (child.pid === undefined) throw new Error(`${argv[0]} could not be started`);
  return { pid: child.pid, ended };
}

/**
 * Number of the PID 1 of a container that was started in a process namespace of its own below this
 * process; null while there is none.
 */
export function initBelow(pid: number, depth = namesOf(pid).length + 2): number | null {
  for (const child of childrenOf(pid)) {
    const names = namesOf(child);
    if (names.length === depth && names.at(-1) === "1") return child;
    const found = initBelow(child, depth);
    if (found !== null) return found;
  }
  return null;
}

/** Its numbers in every namespace that it is in, the outermost first. */
function namesOf(pid: number): string[] {
  return /^NSpid:\t(.*)$/m.exec(read(`/proc/${pid}/status`))?.[1]?.split("\t") ?? [];
}

function childrenOf(pid: number): number[] {
  return read(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // it ended
    return "";
  }
}
