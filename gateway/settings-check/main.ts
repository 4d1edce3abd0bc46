/**
 * `settings-check.js OPENCLAW FLEET.JSON FOLDER`: succeeds when OpenClaw takes the settings of a fleet.json that is to
 * come, which is read from the input because secrets are in it. OPENCLAW: its entry file. FLEET.JSON: the one in
 * place; what OpenClaw reads alike in both is not asked about. FOLDER: where candidates are for their time.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { text } from "node:stream/consumers";
import { type FleetConfig, fleetConfig } from "../config.ts";
import { type ConfigCheck, checkGatewayConfig } from "../openclaw/launch.ts";
import { refusalOf } from "../openclaw/refusal.ts";

/** Null when there is none that this runtime understands. */
function inPlace(path: string): FleetConfig | null {
  try {
    return fleetConfig.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return null;
  }
}

const [openclaw = "", place = "", scratchDir = ""] = process.argv.slice(2);
if (!scratchDir) {
  process.stderr.write("use: settings-check.js OPENCLAW FLEET.JSON FOLDER < new fleet.json\n");
  process.exitCode = 2;
} else {
  const fleet = fleetConfig.parse(JSON.parse(await text(process.stdin)));
  const release = { node: process.execPath, openclaw };
  const fault = await refusalOf(fleet, {
    // One that gives no answer is no reason to stop a deployment: nodes ask again.
    check: (config) =>
      checkGatewayConfig({ release, config, scratchDir }).catch((): ConfigCheck => ({ ok: true })),
    // Gateways run beside it, and half of the cores may boot others.
    parallel: Math.floor(availableParallelism() / 2),
    taken: inPlace(place),
  });
  if (fault !== null) {
    process.stderr.write(`${fault}\n`);
    process.exitCode = 1;
  }
}
