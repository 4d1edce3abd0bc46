import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { endpoint } from "../../gateway/address.ts";
import type { FleetConfig } from "../../gateway/config.ts";
import { localDataDir } from "../../stacks/data-dir.ts";
import { CommandFailed, NotUpYet } from "./errors.ts";
import { type FleetPlace, requireFleet } from "./fleet-place.ts";

/** How to reach one stack's fleet, and as whom. */
export interface FleetAccess {
  stack: string;
  endpoint: string;
  /** Where else the same is reached, should the host in `endpoint` be lost. */
  otherFronts?: readonly string[];
  token: string;
  adminToken: string;
  target: string;
  preset: string;
  /** Directory of a fleet on this machine; null elsewhere. */
  dataDir: string | null;
  /** What its nodes read; null where that is on other machines. */
  config: FleetConfig | null;
}

/**
 * Access to a fleet on this machine comes from its own files (mode 0600), which costs no Pulumi run; to
 * one on hosts from the stack's outputs, decrypted for this process alone.
 * @throws CommandFailed when the stack was never brought up, or no fleet runs on what it makes.
 */
export async function fleetAccess(stack: string): Promise<FleetAccess> {
  return accessAt(stack, await requireFleet(stack, { showSecrets: true }));
}

/** {@link fleetAccess} to a fleet of which is known where it is, with the outputs decrypted. */
export function accessAt(
  stack: string,
  place: Exclude<FleetPlace, { at: "nowhere" }>,
): FleetAccess {
  return place.at === "here" ? here(stack) : onHosts(stack, place.outputs);
}

function onHosts(stack: string, outputs: Readonly<Record<string, unknown>>): FleetAccess {
  const { endpoint, token, adminToken, target, preset, caCertificate, otherFronts } = outputs;
  const texts = [endpoint, token, adminToken];
  if (texts.some((text) => typeof text !== "string" || text === "")) {
    throw new NotUpYet(
      `Stack ${stack} has no fleet yet`,
      "its outputs name no endpoint and tokens: no `up` came to its end",
      `./fleet up --stack ${stack}`,
    );
  }
  if (typeof caCertificate === "string" && caCertificate !== "") trust(caCertificate);
  return {
    stack,
    endpoint: String(endpoint),
    otherFronts: Array.isArray(otherFronts) ? otherFronts.map(String) : [],
    token: String(token),
    adminToken: String(adminToken),
    target: String(target),
    preset: String(preset),
    dataDir: null,
    config: null,
  };
}

const trusted = new Set<string>();

/** For this process alone: the fleet's own authority beside those that are trusted anyway. */
function trust(certificates: string): void {
  if (trusted.has(certificates)) return;
  trusted.add(certificates);
  setDefaultCACertificates([...getCACertificates("default"), certificates]);
}

function here(stack: string): FleetAccess {
  const dataDir = localDataDir(stack);
  const path = join(dataDir, "fleet.json");
  if (!existsSync(path)) {
    throw new NotUpYet(
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
    endpoint: `http://${endpoint(config.host, config.port)}`,
    token,
    adminToken: config.tokens.admin,
    target: config.target,
    preset: config.preset,
    dataDir,
    config,
  };
}
