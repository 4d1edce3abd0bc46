import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type FleetConfig, fleetConfig, type NodeConfig, nodeConfig } from "../gateway/config.ts";

/** Where things of a fleet lie below its data directory. */
export const fleetFile = (dataDir: string) => join(dataDir, "fleet.json");
export const leaseFile = (dataDir: string) => join(dataDir, "leases.sqlite");
export const nodesDir = (dataDir: string) => join(dataDir, "nodes");
export const nodeDir = (dataDir: string, id: string) => join(nodesDir(dataDir), id);
export const nodeFile = (dataDir: string, id: string) => join(nodeDir(dataDir, id), "node.json");

/** Replaces a file in one step, readable by its owner only. Readers see the old or the new one. */
export function writePrivate(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const fd = openSync(temporary, "w", 0o600);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** The fleet's configuration on disk; null when there is none. Throws when it is not one. */
export function readFleet(dataDir: string): FleetConfig | null {
  const text = readIfThere(fleetFile(dataDir));
  return text === null ? null : fleetConfig.parse(JSON.parse(text));
}

export function readNode(dataDir: string, id: string): NodeConfig | null {
  const text = readIfThere(nodeFile(dataDir, id));
  return text === null ? null : nodeConfig.parse(JSON.parse(text));
}

export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}

/** Ids of the nodes that have a directory in a fleet, running or not. */
export function nodesIn(dataDir: string): string[] {
  return existsSync(nodesDir(dataDir)) ? readdirSync(nodesDir(dataDir)) : [];
}
