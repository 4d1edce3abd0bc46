import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheEntry } from "../../toolchain/cache.ts";
import { type GoBuild, goBuild, usualGo } from "../../toolchain/go-build.ts";
import { createProgress } from "../../toolchain/progress.ts";

const LOCK = join(import.meta.dirname, "litestream");
const PACKAGE = "github.com/benbjohnson/litestream";

/** A Litestream that can be run. */
export interface Litestream {
  path: string;
  /** `0.5.18` */
  version: string;
}

/**
 * Litestream as `litestream/go.mod` fixes it, built with Go once, into the project's cache. Only what
 * measures beside it asks for it. Null without Go; throws ToolchainError when the build fails.
 */
export async function litestream(): Promise<Litestream | null> {
  const go = usualGo();
  if (!go) return null;
  const modules = readFileSync(join(LOCK, "go.mod"), "utf8");
  const version = new RegExp(`${PACKAGE} v(\\S+)`).exec(modules)?.[1];
  if (!version) throw new Error(`${LOCK}/go.mod does not name ${PACKAGE}`);
  const what: GoBuild = {
    name: "litestream",
    version,
    lock: LOCK,
    packages: [`${PACKAGE}/cmd/litestream`],
    output: "litestream",
    flags: ["-ldflags", "-s -w"],
    instead: "take Go off PATH, and it is left out",
  };
  const hash = createHash("sha256").update(modules).digest("hex").slice(0, 12);
  const build = (work: string): Promise<void> => goBuild(what, go, work);
  const key = `${process.arch}-${hash}`;
  const folder = await cacheEntry("litestream", key, build, { progress: createProgress() });
  return { path: join(folder, "litestream"), version };
}
