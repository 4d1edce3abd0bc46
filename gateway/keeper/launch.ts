import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { clearNodeCages } from "./cage.ts";
import { fleetKey } from "./cage-name.ts";
import type { KeeperRecord } from "./keeper.ts";
import { readProcessFile } from "./lock.ts";
import { keeperFile, keeperLockFile } from "./paths.ts";
import { isAlive, isDying, signalProcess } from "./process.ts";

/** Exit code of a keeper that found another one alive. */
export const ALREADY_KEPT_EXIT = 3;

const POLL_MS = 50;
/** Output of a keeper before it has its log: why it could not start. */
const bootLogFile = (nodeDir: string) => join(nodeDir, "keeper.out");

export interface StartNodeOptions {
  /** Directory of the node; holds `node.json`. */
  nodeDir: string;
  /** The keeper's entry file: `gateway/keeper/main.ts`, or its bundle. */
  keeper: string;
  /** The supervisor's entry file: `gateway/node/main.ts`, or its bundle. */
  supervisor: string;
  /** The Node binary. @default this one */
  node?: string;
  /** Environment of keeper and supervisor. @default this process's */
  env?: NodeJS.ProcessEnv;
  /** How long the keeper may take until it is up. @default 20 s */
  timeoutMs?: number;
  /** @default "auto" */
  cages?: "auto" | "cgroup" | "session";
}

/** The keeper of a node if it lives: exactly the recorded process, by pid, start time and boot. */
export function nodeRunning(nodeDir: string): KeeperRecord | null {
  const record = readProcessFile(keeperFile(nodeDir)) as KeeperRecord | null;
  return record && isAlive(record) ? record : null;
}

/**
 * Starts a node so that it outlives this process, its terminal and its session; returns when its
 * keeper is up and has started the supervisor. A node that runs already is returned as it is. Throws
 * with the keeper's own words when it did not come up.
 */
export async function startNode(options: StartNodeOptions): Promise<KeeperRecord> {
  const { nodeDir, timeoutMs = 20_000 } = options;
  let running = nodeRunning(nodeDir);
  // One that was just killed is not what the caller wants to have running.
  while (running && isDying(running.pid)) {
    await sleep(POLL_MS);
    running = nodeRunning(nodeDir);
  }
  if (running) return running;
  mkdirSync(nodeDir, { recursive: true });
  const child = spawnKeeper(options);
  let ended: string | null = null;
  child.once("error", (error) => {
    ended = error.message;
  });
  child.once("exit", (code, signal) => {
    // With this code somebody else started the node in the same moment: that one is waited for.
    if (code !== ALREADY_KEPT_EXIT) ended = `it ended with ${signal ?? `exit code ${code}`}`;
  });
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    const record = nodeRunning(nodeDir);
    if (record) {
      if (record.pid !== child.pid) await dismiss(child);
      child.removeAllListeners();
      return record;
    }
    if (ended !== null || performance.now() > giveUpAt) {
      const why = ended ?? `it was not up after ${timeoutMs} ms`;
      throw new Error(`The keeper of ${nodeDir} did not start: ${why}. ${bootOutput(nodeDir)}`);
    }
    await sleep(POLL_MS);
  }
}

/** Somebody else's keeper was faster: ours must not come to life when that one is stopped. */
async function dismiss(child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    child.kill("SIGKILL");
    await sleep(POLL_MS);
  }
}

function spawnKeeper(options: StartNodeOptions): ChildProcess {
  const { nodeDir, keeper, supervisor, cages = "auto" } = options;
  const args = [keeper, "--node-dir", nodeDir, "--supervisor", supervisor, "--cages", cages];
  const out = openSync(bootLogFile(nodeDir), "w", 0o600);
  try {
    const child = spawn(options.node ?? process.execPath, args, {
      cwd: nodeDir,
      env: options.env ?? process.env,
      stdio: ["ignore", out, out],
      // A session of its own: neither Ctrl-C nor the end of the terminal reaches it.
      detached: true,
    });
    child.unref();
    return child;
  } finally {
    closeSync(out);
  }
}

function bootOutput(nodeDir: string): string {
  try {
    const text = readFileSync(bootLogFile(nodeDir), "utf8").trim();
    return text === "" ? "It printed nothing." : `It printed: ${text.slice(-2_000)}`;
  } catch {
    return "";
  }
}

export interface StopNodeOptions {
  nodeDir: string;
  /** Kill everything at once instead of draining. @default false */
  force?: boolean;
  /** How long the planned stop may take before everything is killed. @default 330 s */
  budgetMs?: number;
}

/**
 * Stops a node: planned (drain, hand over), or by force. Returns when nothing of it is left on this
 * machine, also when its keeper had died before. Never touches a process that reused a pid.
 */
export async function stopNode(options: StopNodeOptions): Promise<void> {
  const { nodeDir, force = false, budgetMs = 330_000 } = options;
  const keeper = nodeRunning(nodeDir) ?? readProcessFile(keeperLockFile(nodeDir));
  if (keeper && isAlive(keeper)) {
    const ends = (ms: number) => goneWithin(() => !isAlive(keeper), ms);
    const stopped = !force && signalProcess(keeper, "SIGTERM") && (await ends(budgetMs));
    if (!stopped) {
      // The second of two signals ends everything at once (two of one kind may arrive as one); a
      // keeper that cannot react is killed.
      signalProcess(keeper, "SIGTERM");
      signalProcess(keeper, "SIGINT");
      if (!(await ends(5_000))) signalProcess(keeper, "SIGKILL");
      await ends(Number.POSITIVE_INFINITY);
    }
  }
  await clearNode(nodeDir);
}

async function goneWithin(gone: () => boolean, ms: number): Promise<boolean> {
  const until = performance.now() + ms;
  while (!gone()) {
    if (performance.now() > until) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** Ends what a keeper that died left, in cages of either kind. */
async function clearNode(nodeDir: string): Promise<void> {
  let node: { id: string; dataDir: string };
  try {
    node = JSON.parse(readFileSync(join(nodeDir, "node.json"), "utf8"));
  } catch {
    return; // Never written: nothing was ever started.
  }
  const record = readProcessFile(keeperFile(nodeDir)) as KeeperRecord | null;
  await clearNodeCages(fleetKey(node.dataDir), node.id, record?.cageRoot ?? null);
  rmSync(keeperFile(nodeDir), { force: true });
}
