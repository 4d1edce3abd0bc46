import { homedir } from "node:os";
import { join, resolve } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a fleet on this machine keeps everything. `OPENCLAW_DATA_DIR` names it whole. */
export function localDataDir(stack: string, env: Environment = process.env): string {
  if (env.OPENCLAW_DATA_DIR) return resolve(env.OPENCLAW_DATA_DIR);
  return join(env.XDG_DATA_HOME || join(homedir(), ".local", "share"), "openclaw-fleet", stack);
}
