import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { PROJECT_ROOT } from "../toolchain/paths.ts";

/**
 * A stack's settings as they stand in its file, unchecked, keys without their namespace. For commands
 * that need one of them and must work while others are wrong; checking is the stack program's work.
 */
export function rawSettings(stack: string, root = PROJECT_ROOT): Record<string, unknown> {
  const file = join(root, `Pulumi.${stack}.yaml`);
  if (!existsSync(file)) return {};
  let document: { config?: Record<string, unknown> } | null;
  try {
    document = parse(readFileSync(file, "utf8")) as typeof document;
  } catch {
    return {};
  }
  const settings: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(document?.config ?? {})) {
    if (key.startsWith("openclaw-fleet:")) settings[key.slice("openclaw-fleet:".length)] = value;
  }
  return settings;
}

/** Does destroying the stack leave its conversations on disk? The same rule as the stack program's. */
export function keepsData(settings: Record<string, unknown>): boolean {
  if (settings.keepData !== undefined) return String(settings.keepData) === "true";
  return settings.environment === "prod";
}
