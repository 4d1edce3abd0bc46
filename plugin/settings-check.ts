import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { FleetConfig, Release } from "../gateway/config.ts";
import { agentsEnv, configShape } from "../gateway/openclaw/config.ts";
import type { JsonObject } from "../gateway/openclaw/json.ts";
import { checkGatewayConfig } from "../gateway/openclaw/launch.ts";
import { findOpenclaw } from "../toolchain/openclaw.ts";

/**
 * What OpenClaw would say against these settings, in its own words; null: nothing, or it is not
 * installed yet. Asked before anything is written: a running gateway serves on with its old settings,
 * but one that starts later would not start.
 */
export async function settingsFault(fleet: FleetConfig): Promise<string | null> {
  const candidates = new Map<string, { config: JsonObject; shards: string[] }>();
  const scratchDir = mkdtempSync(join(tmpdir(), "openclaw-fleet-check-"));
  try {
    for (const { id } of fleet.shards) {
      agentsEnv(fleet, id);
      const config = configShape(fleet, id);
      const text = JSON.stringify(config);
      const same = candidates.get(text);
      if (same) same.shards.push(id);
      else candidates.set(text, { config, shards: [id] });
    }
    const release = asksOpenclaw(fleet) ? releaseToAsk() : null;
    if (!release) return null;
    const waiting = [...candidates.values()];
    const faults = new Map<string, string[]>();
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const found = await checkGatewayConfig({ release, config: next.config, scratchDir });
        if (!found.ok) {
          faults.set(found.message, [...(faults.get(found.message) ?? []), ...next.shards]);
        }
      }
    };
    // Each takes about 2 s of one core.
    await Promise.all(Array.from({ length: availableParallelism() }, work));
    if (faults.size === 0) return null;
    const said = [...faults].map(([message, shards]) => `${message} (${shards.sort().join(", ")})`);
    return (
      `OpenClaw refuses these settings: ${said.join("; ")}. Nothing was changed. ` +
      "Mend `openclaw`, `models` or the agents' `channels` in the stack's settings"
    );
  } catch (error) {
    if ((error as Error).name === "GatewayConfigError") return (error as Error).message;
    throw error;
  } finally {
    rmSync(scratchDir, { recursive: true, force: true });
  }
}

/** The OpenClaw that nodes will run: as the program that declares them is told, else the pinned one. */
function releaseToAsk(env = process.env): Pick<Release, "node" | "openclaw"> | null {
  const given = env.OPENCLAW_FLEET_RELEASE_JSON;
  const openclaw = given ? (JSON.parse(given) as Release).openclaw : findOpenclaw({ env })?.path;
  return openclaw && existsSync(openclaw) ? { node: process.execPath, openclaw } : null;
}

/** Without any of these the configuration is the fleet's own, which is known to be good. */
function asksOpenclaw(fleet: FleetConfig): boolean {
  return (
    Object.keys(fleet.openclaw).length > 0 ||
    fleet.models !== "demo" ||
    fleet.agents.some((agent) => Object.keys(agent.channels).length > 0)
  );
}
