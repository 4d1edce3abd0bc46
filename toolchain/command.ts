import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";

/** First executable file of that name on PATH; null when there is none. */
export function onPath(name: string, env: NodeJS.ProcessEnv = process.env): string | null {
  for (const folder of (env.PATH ?? "").split(delimiter)) {
    if (!folder) continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // not there, or not ours to run: look further
    }
  }
  return null;
}

/** Standard output of a short command; null when it failed or took longer than 20 s. */
export function ask(command: string, args: string[], env?: NodeJS.ProcessEnv): string | null {
  const result = spawnSync(command, args, {
    env: env ?? process.env,
    encoding: "utf8",
    timeout: 20_000,
    stdio: ["ignore", "pipe", "ignore"],
  });
  return result.status === 0 ? result.stdout.trim() : null;
}

export interface RunOptions {
  cwd: string;
  env?: NodeJS.ProcessEnv;
  /** Called with each line of stdout and stderr. */
  onLine?: (line: string) => void;
}

/** Runs a command without a terminal; its last lines come with the error when it fails. */
export async function runLogged(
  command: string,
  args: string[],
  { cwd, env, onLine }: RunOptions,
): Promise<void> {
  const child = spawn(command, args, {
    cwd,
    env: env ?? process.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stop = () => child.kill();
  process.once("exit", stop);
  const tail: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      tail.push(line);
      if (tail.length > 30) tail.shift();
      onLine?.(line);
    });
  }
  try {
    const code = await new Promise<number | string>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status, signal) => resolve(status ?? signal ?? "unknown"));
    });
    if (code !== 0) throw new Error(`${command} ended with ${code}:\n${tail.join("\n")}`);
  } finally {
    process.removeListener("exit", stop);
  }
}
