import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { cacheDir } from "../../../toolchain/paths.ts";

/** What a build may be under way in. */
const OWN = ["locks", "tmp"];

/**
 * A cache that has everything the real one has now, and keeps what is added for itself: for what nobody will
 * want again. Returns the environment that makes a program use it.
 */
export function cacheOver(folder: string): { XDG_CACHE_HOME: string } {
  const real = cacheDir();
  const own = cacheDir({ XDG_CACHE_HOME: folder });
  for (const kind of readdirSync(real)) {
    if (OWN.includes(kind)) continue;
    mkdirSync(join(own, kind), { recursive: true });
    for (const key of readdirSync(join(real, kind))) {
      symlinkSync(join(real, kind, key), join(own, kind, key));
    }
  }
  return { XDG_CACHE_HOME: folder };
}
