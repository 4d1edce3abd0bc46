import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { FleetConfig, Release } from "../../gateway/config.ts";
import { startDemoModel } from "../../gateway/model/server.ts";
import { gatewayConfig } from "../../gateway/openclaw/config.ts";
import {
  freePortSpan,
  gatewayLaunch,
  newGatewayToken,
  writeGatewayConfig,
} from "../../gateway/openclaw/launch.ts";
import { probeStartup } from "../../gateway/shard/probe.ts";
import { provider } from "../drill/fleet.ts";
import { quantile } from "../drill/summary.ts";
import { type BenchContext, some } from "./part.ts";

const PORTS = 35_000;
const BOOT_MS = 180_000;
const LOOK_MS = 50;

/** Times of several boots, ms. */
export interface Boots {
  count: number;
  median: number;
  max: number;
}

/**
 * OpenClaw's own cold boots, with the configuration that a shard of the fleet gets and nothing of
 * the fleet around it: what every recovery stands beside. Each boot is on the same, used state.
 */
export async function coldBoots(bench: BenchContext, times: number): Promise<Boots> {
  const release = await bench.release();
  bench.say(`OpenClaw alone, ${some(times, "cold boot")} after a first one that is not counted`);
  const stateDir = mkdtempSync(join(tmpdir(), "openclaw-fleet-alone-"));
  const model = await startDemoModel();
  try {
    const port = await freePortSpan(PORTS);
    const config = gatewayConfig({
      fleet: soleShard(model.url),
      shard: "s1",
      port,
      stateDir,
      token: newGatewayToken(),
      modelBaseUrl: model.url,
    });
    await writeGatewayConfig(stateDir, config);
    const boots: number[] = [];
    // The first one creates the state, which no recovery does: it is not counted.
    for (let i = 0; i <= times; i++) {
      const ms = await bootOnce({ release, stateDir, port, signal: bench.signal });
      if (i > 0) boots.push(ms);
    }
    return {
      count: boots.length,
      median: quantile(boots, 0.5) ?? 0,
      max: quantile(boots, 1) ?? 0,
    };
  } finally {
    await model.close();
    rmSync(stateDir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function bootOnce({
  release,
  stateDir,
  port,
  signal,
}: {
  release: Release;
  stateDir: string;
  port: number;
  signal: AbortSignal;
}): Promise<number> {
  const { command, args, cwd, env } = gatewayLaunch({ release, stateDir, port });
  const begun = performance.now();
  // A group of its own, so that its helpers end with it.
  const child = spawn(command, args, { cwd, env, stdio: "ignore", detached: true });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    for (;;) {
      if ((await probeStartup(port)) === "started") return performance.now() - begun;
      if (child.exitCode !== null) throw new Error(`OpenClaw ended with ${child.exitCode}`);
      if (performance.now() - begun > BOOT_MS) throw new Error("OpenClaw did not start in 3 min");
      await sleep(LOOK_MS, undefined, { signal });
    }
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
