import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm, unlink } from "node:fs/promises";
import { createServer } from "node:net";
import { delimiter, dirname, join } from "node:path";
import { type Captured, captured } from "../captured.ts";
import type { Release } from "../config.ts";
import { GATEWAY_PORT_SPAN } from "../contract.ts";
import { compileCacheUse } from "./compile-cache.ts";
import { type AgentFile, OURS, tokenPath } from "./config.ts";
import type { JsonObject } from "./json.ts";

export interface LaunchRequest {
  release: Pick<Release, "node" | "openclaw">;
  /** Absolute path of the shard's state directory; openclaw.json is in it. */
  stateDir: string;
  port: number;
  /** What the shard's agents want in their environment, see agentsEnv. */
  env?: Record<string, string>;
  /** From openCompileCache. @default wherever OpenClaw has its own */
  compileCache?: string | null;
  /** Environment of the node; only what is harmless is taken from it. @default process.env */
  inherit?: NodeJS.ProcessEnv;
}

/** How to start one gateway: what the keeper's start command wants. */
export interface Launch {
  command: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
}

/**
 * Taken from the node's own environment: where programs, words and certificates are, and whether jobs run
 * by themselves; no secrets.
 */
const INHERITED = [
  "PATH",
  "LANG",
  "LC_ALL",
  "TZ",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "OPENCLAW_SKIP_CRON",
] as const;

export function configPath(stateDir: string): string {
  return join(stateDir, "openclaw.json");
}

/**
 * The command of a shard's gateway. Its environment is made anew, so nothing of the node's secrets
 * reaches the tools that agents run; OpenClaw's token is in a file (mode 0600) only.
 */
export function gatewayLaunch(request: LaunchRequest): Launch {
  const { release, stateDir, port, env = {}, compileCache, inherit = process.env } = request;
  const base: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = inherit[name];
    if (value !== undefined) base[name] = value;
  }
  const cache =
    compileCache === undefined ? { env: {}, nodeArgs: [] } : compileCacheUse(compileCache);
  // OpenClaw starts `node` by name for helpers: it must find the one it runs under.
  base.PATH = [dirname(release.node), base.PATH ?? "/usr/local/bin:/usr/bin:/bin"].join(delimiter);
  return {
    command: release.node,
    args: [...cache.nodeArgs, release.openclaw, "gateway", "run", "--port", String(port)],
    cwd: stateDir,
    env: {
      ...base,
      ...env,
      ...cache.env,
      HOME: join(stateDir, "tmp", "home"),
      OPENCLAW_STATE_DIR: stateDir,
      OPENCLAW_CONFIG_PATH: configPath(stateDir),
      OPENCLAW_CONFIG_READONLY: "1",
      // For what agents start: the port is not in openclaw.json.
      OPENCLAW_GATEWAY_PORT: String(port),
      // The keeper owns the process: OpenClaw must not hand itself to a detached child.
      OPENCLAW_NO_RESPAWN: "1",
      OPENCLAW_SUPERVISOR_MODE: "external",
      OPENCLAW_DISABLE_BONJOUR: "1",
      OPENCLAW_EXEC_SHELL_SNAPSHOT: "0",
      NO_COLOR: "1",
    },
  };
}

/** A new token for one start of a gateway: any bearer is its administrator. */
export function newGatewayToken(): string {
  return randomBytes(24).toString("hex");
}

/** Puts the token of the next start where openclaw.json says. Not while a gateway runs. */
export async function writeGatewayToken(stateDir: string, token: string): Promise<void> {
  await mkdir(join(stateDir, "tmp", "home"), { recursive: true, mode: 0o700 });
  const path = tokenPath(stateDir);
  await replaceFile(path, await readText(path), token);
}

/**
 * Puts openclaw.json and the agents' files in place, each atomically. Files that have their text
 * already are not touched. Returns true when anything changed; OpenClaw then reloads by itself.
 */
export async function writeGatewayConfig(
  stateDir: string,
  config: JsonObject,
  files: AgentFile[] = [],
): Promise<boolean> {
  await mkdir(join(stateDir, "tmp", "home"), { recursive: true, mode: 0o700 });
  let changed = false;
  // Instructions first: an agent that the new configuration adds finds its own at its first turn.
  for (const file of files) {
    const old = await readText(file.path);
    if (file.content !== null) {
      if (await replaceFile(file.path, old, file.content)) changed = true;
    } else if (old?.startsWith(OURS)) {
      await rm(file.path, { force: true });
      changed = true;
    }
  }
  const path = configPath(stateDir);
  const text = `${JSON.stringify(config, null, 2)}\n`;
  if (await replaceFile(path, await readText(path), text)) changed = true;
  return changed;
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

async function replaceFile(path: string, old: string | null, text: string): Promise<boolean> {
  if (old === text) return false;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const staged = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    const file = await open(staged, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(staged, path);
  } catch (error) {
    await unlink(staged).catch(() => {});
    throw error;
  }
  return true;
}

/** Offsets from the base port at which OpenClaw 2026.9.6 was seen listening, or may with a browser. */
export const USED_OFFSETS = [0, 2, 3, 4] as const;

/** Highest port that a span may begin at. */
const LAST_BASE = 65_535 - GATEWAY_PORT_SPAN;

/**
 * The first base port from `base` on, in steps of a span, at which a gateway finds its ports free and
 * which is not in `taken`. Another program may still take one before the gateway does; the gateway
 * then fails to start and the next attempt gets another span.
 */
export async function freePortSpan(
  base: number,
  taken: ReadonlySet<number> = new Set(),
): Promise<number> {
  for (let port = base; port <= LAST_BASE; port += GATEWAY_PORT_SPAN) {
    if (taken.has(port)) continue;
    const free = await Promise.all(USED_OFFSETS.map((offset) => isFree(port + offset)));
    if (free.every((yes) => yes)) return port;
  }
  throw new Error(`no free span of ${GATEWAY_PORT_SPAN} ports from ${base} to ${LAST_BASE}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}

/** A check that takes longer than this says nothing about the configuration, milliseconds. */
const CHECK_TIMEOUT_MS = 60_000;

export type ConfigCheck = { ok: true } | { ok: false; message: string };

/**
 * Asks OpenClaw itself whether it would take a configuration, without starting a gateway (about 2 s
 * of one core). `scratchDir` holds the candidate meanwhile. The message is OpenClaw's own.
 */
export async function checkGatewayConfig(request: {
  release: LaunchRequest["release"];
  config: JsonObject;
  compileCache?: string | null;
  /** An existing directory of the caller's; a subdirectory is made and removed. */
  scratchDir: string;
}): Promise<ConfigCheck> {
  const dir = join(request.scratchDir, `check-${randomBytes(6).toString("hex")}`);
  try {
    await writeGatewayConfig(dir, request.config);
    const { release, compileCache } = request;
    const launch = gatewayLaunch({ release, stateDir: dir, port: 1, compileCache });
    const { code, stdout, stderr } = await run(
      launch.command,
      [release.openclaw, "config", "validate", "--json"],
      launch,
    );
    if (code === 0) return { ok: true };
    if (code === null) {
      throw new Error(
        `OpenClaw did not say within ${CHECK_TIMEOUT_MS / 1_000} s whether it takes its settings; ` +
          "the machine is too busy, try again",
      );
    }
    return { ok: false, message: checkMessage(stdout, stderr) };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** What a person should read of the output of `config validate --json`. */
export function checkMessage(stdout: string, stderr: string): string {
  try {
    const report = JSON.parse(stdout) as {
      issues?: { path?: string; message?: string }[];
      error?: { message?: string } | string;
    };
    const issues = (report.issues ?? []).map((issue) =>
      issue.path ? `${issue.path}: ${issue.message}` : String(issue.message),
    );
    if (issues.length > 0) return issues.join("; ");
    if (typeof report.error === "string") return report.error;
    if (report.error?.message) return report.error.message;
  } catch {
    // Not the JSON report: the text itself is the message.
  }
  return (stderr.trim() || stdout.trim()).slice(-2_000) || "OpenClaw refused the configuration";
}

function run(command: string, args: string[], { cwd, env }: Launch): Promise<Captured> {
  return captured(command, args, {
    cwd,
    env,
    timeout: CHECK_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
}
