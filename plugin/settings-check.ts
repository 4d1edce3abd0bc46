import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { FleetConfig, Release } from "../gateway/config.ts";
import { checkGatewayConfig } from "../gateway/openclaw/launch.ts";
import { refusalOf } from "../gateway/openclaw/refusal.ts";
import { findOpenclaw } from "../toolchain/openclaw.ts";

/**
 * What OpenClaw would say against these settings, in its own words; null: nothing, or it is not
 * installed yet. Asked before anything is written: a running gateway serves on with its old settings,
 * but one that starts later would not start.
 */
export async function settingsFault(fleet: FleetConfig): Promise<string | null> {
  const scratchDir = mkdtempSync(join(tmpdir(), "openclaw-fleet-check-"));
  try {
    const release = releaseToAsk();
    const fault = await refusalOf(fleet, {
      check: release && ((config) => checkGatewayConfig({ release, config, scratchDir })),
      parallel: availableParallelism(),
    });
    return fault && `${fault}. Nothing was changed`;
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
