import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { FleetConfig } from "../../gateway/config.ts";
import { localDataDir } from "../../stacks/data-dir.ts";
import { cloudTarget, noFleetOn } from "./cloud-status.ts";
import { CommandFailed } from "./errors.ts";

/** How to reach one stack's fleet, and as whom. */
export interface FleetAccess {
  stack: string;
  endpoint: string;
  token: string;
  adminToken: string;
  /** Directory of a fleet on this machine; null elsewhere. */
  dataDir: string | null;
  config: FleetConfig | null;
}

/**
 * Access to a fleet on this machine comes from its own files (mode 0600), which costs no Pulumi run.
 * @throws CommandFailed when the stack was never brought up, or is on AWS, where none runs yet.
 */
export function fleetAccess(stack: string): FleetAccess {
  const cloud = cloudTarget(stack);
  if (cloud) throw noFleetOn(stack, cloud);
  const dataDir = localDataDir(stack);
  const path = join(dataDir, "fleet.json");
  if (!existsSync(path)) {
    throw new CommandFailed(
      `Stack ${stack} has no fleet on this machine`,
      `${path} is not there`,
      `./fleet up --stack ${stack}`,
    );
  }
  let config: FleetConfig;
  try {
    config = JSON.parse(readFileSync(path, "utf8")) as FleetConfig;
  } catch (cause) {
    throw new CommandFailed(
      `The configuration of stack ${stack} cannot be read`,
      `${path}: ${(cause as Error).message}`,
      `Run as the user that brought the fleet up, or ./fleet up --stack ${stack}`,
    );
  }
  const host = config.host.includes(":") ? `[${config.host}]` : config.host;
  const token = config.tokens.client[0];
  if (token === undefined) {
    throw new CommandFailed(
      `Stack ${stack} has no client token`,
      path,
      `./fleet up --stack ${stack}`,
    );
  }
  return {
    stack,
    endpoint: `http://${host}:${config.port}`,
    token,
    adminToken: config.tokens.admin,
    dataDir,
    config,
  };
}
