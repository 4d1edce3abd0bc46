import { join } from "node:path";
import { PACKAGES } from "../../components/prometheus/catalog.ts";
import { cacheEntry } from "../../toolchain/cache.ts";
import { createProgress } from "../../toolchain/progress.ts";
import { unpackDebian } from "./debian-package.ts";

/**
 * Folder that stands for `/` of a host with monitoring's packages: Debian's own, unpacked into the
 * project's cache and not installed, since installed they would start servers.
 */
export async function watchPrograms(): Promise<string> {
  return await cacheEntry("monitoring", process.arch, async (folder) => unpack(folder), {
    progress: createProgress(),
  });
}

/** A program's path on a host as its path here. */
export const unpacked = (root: string, path: string): string => join(root, path);

function unpack(folder: string): void {
  const packages = Object.values(PACKAGES);
  try {
    unpackDebian(folder, packages);
  } catch (error) {
    throw new Error(
      `${packages.join(", ")} of Debian could not be fetched: ${(error as Error).message}`,
    );
  }
}
