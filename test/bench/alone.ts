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
  writeGatewayToken,
} from "../../gateway/openclaw/launch.ts";
import { probeStartup } from "../../gateway/shard/probe.ts";
import { provider } from "../drill/fleet.ts";
import { quantile } from "../drill/summary.ts";
import { type BenchContext, seconds, some } from "./part.ts";

const PORTS = 35_000;
const BOOT_MS = 180_000;
const LOOK_MS = 50;

/** Times of several boots, ms. */
export interface Boots {
  count: number;
  median: number;
  max: number;
  /** Median from the start to the end of the first turn, which loads what a boot leaves out. */
  firstAnswer: number;
}

/** As a reference, for people. */
export const alone = ({ count, median, max, firstAnswer }: Boots): string =>
  `OpenClaw alone boots in ${seconds(median)}, max ${seconds(max)} of ${count}, its first answer after ${seconds(firstAnswer)}`;

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
    const token = newGatewayToken();
    const config = gatewayConfig({
      fleet: soleShard(model.url),
      shard: "s1",
      stateDir,
      modelBaseUrl: model.url,
    });
    await writeGatewayToken(stateDir, token);
    await writeGatewayConfig(stateDir, config);
    const boots: number[] = [];
    const answers: number[] = [];
    // The first one creates the state, which no recovery does: it is not counted.
    for (let i = 0; i <= times; i++) {
      const { started, answered } = await bootOnce({
        release,
        stateDir,
        port,
        token,
        signal: bench.signal,
      });
      if (i === 0) continue;
      boots.push(started);
      answers.push(answered);
    }
    return {
      count: boots.length,
      median: quantile(boots, 0.5) ?? 0,
      max: quantile(boots, 1) ?? 0,
      firstAnswer: quantile(answers, 0.5) ?? 0,
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
  token,
  signal,
}: {
  release: Release;
  stateDir: string;
  port: number;
  token: string;
  signal: AbortSignal;
}): Promise<{ started: number; answered: number }> {
  const { command, args, cwd, env } = gatewayLaunch({ release, stateDir, port });
  const begun = performance.now();
  // A group of its own, so that its helpers end with it.
  const child = spawn(command, args, { cwd, env, stdio: "ignore", detached: true });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    for (;;) {
      if ((await probeStartup(port)) === "started") {
        const started = performance.now() - begun;
        await firstTurn(port, token, signal);
        return { started, answered: performance.now() - begun };
      }
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

async function firstTurn(port: number, token: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({
      model: "openclaw/main",
      user: "bench",
      messages: [{ role: "user", content: "Please say this again" }],
    }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(BOOT_MS)]),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`OpenClaw alone answered ${response.status}: ${text}`);
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
