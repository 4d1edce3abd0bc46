import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { cacheEntry } from "../../../toolchain/cache.ts";
import { createProgress } from "../../../toolchain/progress.ts";
import { onPath, unpackDebian } from "../debian-package.ts";

/** Server and Sentinel are one program in Debian, in `redis-tools`; the rest is what it links to. */
const PACKAGES = ["redis-tools", "redis-server", "libjemalloc2", "liblzf1", "libatomic1"];

export interface RedisBinary {
  path: string;
  env: NodeJS.ProcessEnv;
}

/**
 * A Redis or Valkey server of version 7 or later: `OPENCLAW_FLEET_REDIS_SERVER`, or on PATH, or
 * Debian's, unpacked into the project's cache.
 */
export async function redisBinary(): Promise<RedisBinary> {
  const named = process.env.OPENCLAW_FLEET_REDIS_SERVER ?? onPath("valkey-server", "redis-server");
  if (named) return { path: named, env: {} };
  const entry = await cacheEntry("redis-server", process.arch, async (folder) => unpack(folder), {
    progress: createProgress(),
  });
  const libraries = join(entry, "usr/lib");
  const path = join(entry, "usr/bin/redis-server");
  const env = {
    LD_LIBRARY_PATH: readdirSync(libraries)
      .map((folder) => join(libraries, folder))
      .join(":"),
  };
  execFileSync(path, ["--version"], { env, stdio: "pipe" });
  return { path, env };
}

function unpack(folder: string): void {
  try {
    unpackDebian(folder, PACKAGES);
  } catch (error) {
    throw new Error(
      `a Redis server is missing, and Debian's could not be fetched: ${(error as Error).message}. Install one (apt-get install redis-server), or name it in OPENCLAW_FLEET_REDIS_SERVER.`,
    );
  }
}
