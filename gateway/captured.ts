import { type SpawnOptions, spawn } from "node:child_process";

/** How a command ended, and what it wrote. */
export interface Captured {
  /** Its exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command without input and keeps what it writes. @throws Error when it cannot be started */
export function captured(
  command: string,
  args: readonly string[],
  options: Pick<SpawnOptions, "cwd" | "env" | "timeout" | "killSignal">,
): Promise<Captured> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
