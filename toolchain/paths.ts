import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of the project: where Pulumi.yaml and package.json are. */
export const PROJECT_ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Where downloads and builds are kept; may be deleted while nothing of the project runs. */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(resolve(env.XDG_CACHE_HOME || join(homedir(), ".cache")), "openclaw-fleet");
}

/** Where what must not be lost is kept: Pulumi's state and its passphrase. */
export function dataDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(resolve(env.XDG_DATA_HOME || join(homedir(), ".local", "share")), "openclaw-fleet");
}
