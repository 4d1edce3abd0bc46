import { type ChildProcess, spawn } from "node:child_process";
import type { Cages } from "./cage.ts";

/** Pause before one that ended is replaced, milliseconds. */
const REPLACE_AFTER_MS = 500;

/**
 * A shell that waits on a pipe whose other end only this keeper holds. When the keeper ends in any
 * way, also by SIGKILL, the kernel closes the pipe and the shell kills every cage of the node: also
 * with the supervisor dead, stopped, or killed in the same moment.
 */
export class Deadman {
  readonly #script: string;
  readonly #args: string[];
  #child: ChildProcess | null = null;
  #over = false;

  constructor(cages: Cages) {
    const { script, args } = cages.killAllScript();
    this.#script = `read -r word; [ "$word" = done ] && exit 0\n${script}`;
    this.#args = args;
    this.#start();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The keeper ends in order and has killed everything itself. */
  dismiss(): void {
    this.#over = true;
    this.#child?.stdin?.end("done\n");
  }

  #start(): void {
    const child = spawn("/bin/sh", ["-c", this.#script, "sh", ...this.#args], {
      cwd: "/",
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin" },
      stdio: ["pipe", "ignore", "ignore"],
      // Signals to the keeper's group must not take it along.
      detached: true,
    });
    this.#child = child;
    const replace = () => {
      if (this.#child !== child || this.#over) return;
      this.#child = null;
      setTimeout(() => {
        if (!this.#over) this.#start();
      }, REPLACE_AFTER_MS).unref();
    };
    child.on("error", replace);
    child.on("exit", replace);
    child.stdin?.on("error", () => {});
  }
}
