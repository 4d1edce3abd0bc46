import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ConfigError } from "../../stacks/errors.ts";
import { loadSettings, type Settings } from "../../stacks/settings.ts";
import { parseStackFile } from "../../stacks/stack-file.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { CommandFailed } from "./errors.ts";

/** Stands for an encrypted value: planning needs to know that it is there, not what it is. */
const SEALED = "x".repeat(24);

/** What the stack program will read, checked by the same code. Without a file: the defaults of dev. */
export function stackSettings(stack: string, root = PROJECT_ROOT): Settings {
  const name = `Pulumi.${stack}.yaml`;
  const path = join(root, name);
  if (!existsSync(path) && stack !== "dev") {
    throw new CommandFailed(
      `Stack ${stack} has no settings`,
      `${name} is not there`,
      `./fleet init --stack ${stack} writes it, or check the name`,
    );
  }
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  let document: { config?: Record<string, unknown> } | null;
  try {
    document = parse(text) as typeof document;
  } catch (error) {
    throw new CommandFailed(`${name} is not YAML`, (error as Error).message.split("\n")[0]);
  }
  const config = Object.fromEntries(
    Object.entries(document?.config ?? {}).map(([key, value]) => [key, asPulumi(unseal(value))]),
  );
  try {
    return loadSettings({ config, file: parseStackFile(text, name), env: process.env }).settings;
  } catch (error) {
    throw asCommandFailed(error);
  }
}

/** A ConfigError in the commands' form: its own text is complete. */
export function asCommandFailed(error: unknown): unknown {
  return error instanceof ConfigError ? new CommandFailed(error.message) : error;
}

const asPulumi = (value: unknown): string =>
  typeof value === "string" ? value : JSON.stringify(value);

function unseal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unseal);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]?.[0] === "secure") return SEALED;
  return Object.fromEntries(entries.map(([key, inner]) => [key, unseal(inner)]));
}
