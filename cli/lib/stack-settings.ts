import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ConfigError, type Fault } from "../../components/errors.ts";
import { checkHosts } from "../../stacks/hosts/checks.ts";
import { planStack } from "../../stacks/plan.ts";
import { secretAt } from "../../stacks/secrets.ts";
import { type LoadedSettings, loadSettings, locate, type Settings } from "../../stacks/settings.ts";
import { parseStackFile, readStackFile } from "../../stacks/stack-file.ts";
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
  try {
    return settingsOf(text, name);
  } catch (error) {
    throw asCommandFailed(error);
  }
}

/** A stack's settings, and which of their values must not be shown. */
export interface SecretSettings {
  readonly settings: Settings;
  readonly isSecret: (path: readonly PropertyKey[]) => boolean;
  /** True for a value that is encrypted in the stack's file, and not known here. */
  readonly isSealed: (value: string) => boolean;
}

/** {@link stackSettings}, for whoever has to keep secrets apart. */
export function secretSettings(stack: string, root = PROJECT_ROOT): SecretSettings {
  const settings = stackSettings(stack, root);
  const path = join(root, `Pulumi.${stack}.yaml`);
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const { fromEnv } = loadText(text, path, process.env);
  const secure = parseStackFile(text, path)?.secure ?? [];
  const isSecret = secretAt({ secure, fromEnv, secretSettings: [] });
  return { settings, isSecret, isSealed: (value) => value === SEALED };
}

/**
 * Settings from the text of a stack's file. `lenient`: variables that `env:NAME` names may be missing.
 * @throws ConfigError, and CommandFailed when the text is not YAML.
 */
export function settingsOf(text: string, name: string, { lenient = false } = {}): Settings {
  const named = [...text.matchAll(/env:([A-Za-z_][A-Za-z0-9_]*)/g)].map(([, name]) => name);
  const absent = Object.fromEntries(named.map((variable) => [variable, SEALED]));
  return loadText(text, name, lenient ? { ...absent, ...process.env } : process.env).settings;
}

function loadText(text: string, name: string, env: NodeJS.ProcessEnv): LoadedSettings {
  let document: { config?: Record<string, unknown> } | null;
  try {
    document = parse(text) as typeof document;
  } catch (error) {
    throw new CommandFailed(
      `${name} is not YAML`,
      (error as Error).message.split("\n")[0]?.replace(/:$/, ""),
      "settings stand below `config:`, each two spaces in",
    );
  }
  const config = Object.fromEntries(
    Object.entries(document?.config ?? {}).map(([key, value]) => [key, asPulumi(unseal(value))]),
  );
  return loadSettings({ config, file: parseStackFile(text, name), env });
}

/** A ConfigError in the commands' form: every fault with its place, in the order of the file. */
export function asCommandFailed(error: unknown): unknown {
  if (!(error instanceof ConfigError)) return error;
  const { faults } = error;
  if (faults.length < 2) return new CommandFailed(error.message);
  const line = ({ place }: Fault) => Number(place?.split(":").at(-2) ?? 0);
  const said = [...faults]
    .sort((a, b) => line(a) - line(b))
    .map((fault) => `  ${new ConfigError([fault]).message}`);
  return new CommandFailed([`${faults.length} settings are wrong`, ...said].join("\n"));
}

/**
 * Checks a stack's settings and what they would make, before Pulumi is started for it: its own report
 * of the same faults comes seconds later and in more words.
 */
export function checkSettings(stack: string): void {
  const settings = stackSettings(stack);
  try {
    planStack(stack, settings);
    if (settings.target === "hosts") checkHosts(settings);
  } catch (error) {
    throw asCommandFailed(locateIn(stack, error));
  }
}

function locateIn(stack: string, error: unknown): unknown {
  if (!(error instanceof ConfigError)) return error;
  return locate(error, readStackFile(join(PROJECT_ROOT, `Pulumi.${stack}.yaml`)));
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
