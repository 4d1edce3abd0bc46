import { createHash } from "node:crypto";
import { basename, resolve } from "node:path";

/** Environment variable that tags every process of a cage without a cgroup. */
export const CAGE_TAG = "OPENCLAW_FLEET_CAGE";

/** Root of all cgroups of this project, below the keeper's own cgroup or the mount. */
export const CGROUP_ROOT = "openclaw-fleet";

/**
 * Name of a fleet among all fleets of the machine: its data directory's name for people, its hash
 * because two fleets may use the same name.
 */
export function fleetKey(dataDir: string): string {
  const path = resolve(dataDir);
  const hash = createHash("sha256").update(path).digest("hex").slice(0, 10);
  const word = basename(path)
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .slice(0, 24);
  return `${word || "fleet"}-${hash}`;
}

const PART = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

/** A cage's name as it is stored, taken apart. */
export type CageName =
  /** `path` is relative to the cgroup v2 mount and has `openclaw-fleet` in it. */
  { kind: "cgroup"; path: string } | { kind: "session"; tag: string };

/** Reads a stored name. Throws on one that this project cannot have made: it must never be killed. */
export function parseCageName(name: string): CageName {
  const colon = name.indexOf(":");
  const kind = name.slice(0, colon);
  const rest = name.slice(colon + 1);
  const parts = rest.split("/");
  if (kind === "session" && parts.length >= 3 && parts.every((part) => PART.test(part))) {
    return { kind, tag: rest };
  }
  if (kind === "cgroup") {
    const at = parts.lastIndexOf(CGROUP_ROOT);
    const own = parts.slice(at + 1);
    const clean = parts.every((part) => part !== "" && part !== "." && part !== "..");
    if (at >= 0 && clean && own.length >= 3 && own.every((part) => PART.test(part))) {
      return { kind, path: rest };
    }
  }
  throw new Error(`"${name}" is not the name of a cage of this project`);
}
