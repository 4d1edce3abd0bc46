import { isDeepStrictEqual } from "node:util";
import { ConfigError, type Fault } from "../errors.ts";
import type { HostPart, HostPlan } from "./types.ts";

const KEYED = ["users", "directories", "files", "units", "checks"] as const;

/**
 * One plan of all parts. Throws ConfigError when two parts say different things of the same path, user,
 * unit or check: whichever came last would win, and which one that is nobody chose.
 */
export function mergeParts(parts: readonly HostPart[]): HostPlan {
  const faults: Fault[] = [];
  const merged = Object.fromEntries(
    KEYED.map((kind) => [kind, {} as Record<string, unknown>]),
  ) as Record<(typeof KEYED)[number], Record<string, unknown>>;
  const packages = new Set<string>();
  for (const part of parts) {
    for (const name of part.packages ?? []) packages.add(name);
    for (const kind of KEYED) {
      for (const [key, value] of Object.entries(part[kind] ?? {})) {
        const there = merged[kind][key];
        if (there !== undefined && !isDeepStrictEqual(there, value)) {
          faults.push({
            setting: "",
            problem: `two parts of a host want ${key} (${kind}) to be different things`,
            remedy: "One of them has to use another name",
          });
        }
        merged[kind][key] = value;
      }
    }
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return { packages: [...packages].sort(), ...merged } as unknown as HostPlan;
}
