import { spawn } from "node:child_process";
import { join } from "node:path";

/** What a test leaves on the machine when it ends without its own clean-up. */
export interface Orphans {
  /** What command lines or environments of its processes hold, and of nobody else's: its directory. */
  readonly naming: string;
  /** Files and directories, absolute. */
  readonly paths: readonly string[];
}

/**
 * Has a program of its own take that away should this process end first, however it ends: a fleet's nodes are
 * daemons and would outlive Ctrl-C. It ends by itself, and at once when the test called what is returned.
 */
export function endWithUs(orphans: Orphans): () => void {
  const child = spawn(process.execPath, [join(import.meta.dirname, "orphans-main.ts")], {
    // Away from the terminal, whose Ctrl-C is what it waits for; nothing that names the test, lest it find itself.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    env: {},
    cwd: "/",
  });
  const { stdin } = child;
  stdin.on("error", () => {});
  stdin.write(`${JSON.stringify(orphans)}\n`);
  child.unref();
  (stdin as unknown as { unref(): void }).unref();
  return () => stdin.end("done\n");
}
