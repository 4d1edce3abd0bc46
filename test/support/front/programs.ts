import { existsSync } from "node:fs";
import { join } from "node:path";
import { cacheEntry } from "../../../toolchain/cache.ts";
import { createProgress } from "../../../toolchain/progress.ts";
import { onPath, unpackDebian } from "../debian-package.ts";

/** Distributions put servers where only root's PATH looks. */
const ADMIN_FOLDERS = ["/usr/sbin", "/usr/local/sbin"];

/** Nginx: `OPENCLAW_FLEET_NGINX`, or of this machine, or Debian's, unpacked into the project's cache. */
export const nginxBinary = () => programOf("nginx", "OPENCLAW_FLEET_NGINX", "usr/sbin/nginx");

/** Caddy, in the same way (`OPENCLAW_FLEET_CADDY`). */
export const caddyBinary = () => programOf("caddy", "OPENCLAW_FLEET_CADDY", "usr/bin/caddy");

async function programOf(name: string, variable: string, path: string): Promise<string> {
  const named = process.env[variable] ?? onPath(name);
  if (named) return named;
  for (const folder of ADMIN_FOLDERS) {
    if (existsSync(join(folder, name))) return join(folder, name);
  }
  const entry = await cacheEntry(
    name,
    process.arch,
    async (folder) => unpack(folder, name, variable),
    {
      progress: createProgress(),
    },
  );
  return join(entry, path);
}

function unpack(folder: string, name: string, variable: string): void {
  try {
    unpackDebian(folder, [name]);
  } catch (error) {
    throw new Error(
      `${name} is missing, and Debian's package could not be fetched: ${(error as Error).message}. Install it (apt-get install ${name}), or name it in ${variable}.`,
    );
  }
}
