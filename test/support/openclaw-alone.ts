import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { FleetConfig, Release } from "../../gateway/config.ts";
import { startDemoModel } from "../../gateway/model/server.ts";
import { gatewayConfig } from "../../gateway/openclaw/config.ts";
import {
  freePortSpan,
  gatewayLaunch,
  newGatewayToken,
  writeGatewayConfig,
  writeGatewayToken,
} from "../../gateway/openclaw/launch.ts";
import { probeStartup } from "../../gateway/shard/probe.ts";
import { provider } from "../drill/fleet.ts";

const PORTS = 35_000;
const BOOT_MS = 180_000;
const LOOK_MS = 50;
/** A gateway ends within seconds, on a busy machine within some tens. */
const END_MS = 60_000;

/** An OpenClaw that runs on a state directory of its own, with nothing of a fleet around it. */
export interface Alone {
  readonly port: number;
  readonly token: string;
}

/** What all runs of one OpenClaw have in common; `close` ends its model. */
export interface AloneMakings extends Alone {
  readonly release: Pick<Release, "node" | "openclaw">;
  readonly stateDir: string;
  close(): Promise<void>;
}

/** Puts the configuration that a shard of a fleet gets into an empty state directory, and starts a model for it. */
export async function makeAlone(
  release: AloneMakings["release"],
  stateDir: string,
): Promise<AloneMakings> {
  const model = await startDemoModel();
  const token = newGatewayToken();
  const config = gatewayConfig({
    fleet: soleShard(model.url),
    shard: "s1",
    stateDir,
    modelBaseUrl: model.url,
  });
  await writeGatewayToken(stateDir, token);
  await writeGatewayConfig(stateDir, config);
  const port = await freePortSpan(PORTS);
  return { release, stateDir, port, token, close: () => model.close() };
}

/**
 * Starts it, does some work once it has booted, and ends it with all that it started.
 * @param options.end how: SIGTERM lets it close its databases. @default SIGKILL
 * @param options.bootMs longest boot, ms. @default 3 min
 */
export async function runAlone<T>(
  { release, stateDir, port, token }: AloneMakings,
  work: (alone: Alone) => Promise<T>,
  {
    signal,
    end = "SIGKILL",
    bootMs = BOOT_MS,
  }: { signal?: AbortSignal; end?: "SIGKILL" | "SIGTERM"; bootMs?: number } = {},
): Promise<T> {
  const { command, args, cwd, env } = gatewayLaunch({ release, stateDir, port });
  const begun = performance.now();
  // A group of its own, so that its helpers end with it.
  const child = spawn(command, args, { cwd, env, stdio: "ignore", detached: true });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    while ((await probeStartup(port)) !== "started") {
      if (child.exitCode !== null) throw new Error(`OpenClaw ended with ${child.exitCode}`);
      if (performance.now() - begun > bootMs) {
        throw new Error(`OpenClaw did not start in ${bootMs / 1_000} s`);
      }
      await sleep(LOOK_MS, undefined, { signal });
    }
    const result = await work({ port, token });
    if (end === "SIGTERM") {
      child.kill(end);
      await Promise.race([ended, sleep(END_MS, undefined, { ref: false })]);
      if (child.exitCode === null && child.signalCode === null) {
        throw new Error(`OpenClaw did not end within ${END_MS / 1_000} s of ${end}`);
      }
    }
    return result;
  } finally {
    if (child.pid !== undefined) {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // It had ended by itself.
      }
      await ended;
    }
  }
}

function soleShard(modelUrl: string): FleetConfig {
  return {
    version: 1,
    fleet: "alone",
    target: "local",
    preset: "solo",
    host: "127.0.0.1",
    port: 0,
    shards: [{ id: "s1", agents: ["main"], recycleMiB: 8_192 }],
    agents: [{ name: "main", shards: ["s1"], homeShard: "s1", channels: {}, cron: [], env: {} }],
    models: { primary: "drill/echo", fallbacks: [], providers: { drill: provider(modelUrl) } },
    openclaw: {},
    channelBinding: {},
    tokens: { client: [newGatewayToken()], admin: newGatewayToken(), peer: newGatewayToken() },
    trustedProxies: [],
    scrapers: [],
    turnBudgetMs: 600_000,
  };
}
