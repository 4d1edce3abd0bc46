import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parse } from "yaml";
import { ToolchainError } from "./errors.ts";
import { LANGUAGE_HOST_MAIN, LANGUAGE_HOST_VARIABLE } from "./language-host.ts";
import { cacheDir, dataDir, PROJECT_ROOT } from "./paths.ts";
import type { Tool } from "./tool.ts";

export interface PulumiTools {
  pulumi: Tool;
  languageHost: Tool;
}

/** Where the state of the stacks is. */
export interface Backend {
  /** Null: neither the environment nor the project says, so the default folder is used. */
  url: string | null;
  /** Folder of the default backend. */
  folder: string;
}

/** The user's PULUMI_BACKEND_URL, else `backend.url` of Pulumi.yaml, else a folder of this project. */
export function findBackend(env: NodeJS.ProcessEnv = process.env, root = PROJECT_ROOT): Backend {
  const folder = join(dataDir(env), "pulumi");
  if (env.PULUMI_BACKEND_URL) return { url: env.PULUMI_BACKEND_URL, folder };
  const file = join(root, "Pulumi.yaml");
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  if (!/^backend:/m.test(text)) return { url: null, folder };
  const project = parse(text) as { backend?: { url?: string } };
  return { url: project.backend?.url ?? null, folder };
}

/**
 * The variables that make a plain `pulumi` do what `./fleet` does: only those that are not set
 * already, except PATH, which gets the project's programs in front. Holds no secret value: the
 * passphrase is named by its file.
 */
export function pulumiVariables(
  { pulumi, languageHost }: PulumiTools,
  env: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const programs = [process.execPath, languageHost.path, pulumi.path];
  const folders = [...new Set(programs.map((path) => dirname(path)))];
  const rest = (env.PATH ?? "").split(delimiter).filter((folder) => !folders.includes(folder));
  const backend = findBackend(env);
  const wanted: Record<string, string> = {
    OPENCLAW_FLEET_NODE: process.execPath,
    [LANGUAGE_HOST_VARIABLE]: LANGUAGE_HOST_MAIN,
    PULUMI_HOME: join(cacheDir(env), "pulumi-home"),
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
  };
  if (backend.url === null) {
    wanted.PULUMI_BACKEND_URL = pathToFileURL(backend.folder).href;
    if (env.PULUMI_CONFIG_PASSPHRASE === undefined) {
      wanted.PULUMI_CONFIG_PASSPHRASE_FILE = passphraseFile(backend.folder);
    }
  }
  const variables: Record<string, string> = { PATH: [...folders, ...rest].join(delimiter) };
  for (const [name, value] of Object.entries(wanted)) {
    if (env[name] === undefined || name.startsWith("OPENCLAW_FLEET_")) variables[name] = value;
  }
  return variables;
}

/** Makes the folder of the default backend and, once, a random passphrase in it, mode 0600. */
export function prepareBackend(env: NodeJS.ProcessEnv = process.env): void {
  const { url, folder } = findBackend(env);
  if (url !== null) return;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (
    env.PULUMI_CONFIG_PASSPHRASE !== undefined ||
    env.PULUMI_CONFIG_PASSPHRASE_FILE !== undefined
  ) {
    return;
  }
  const file = passphraseFile(folder);
  if (existsSync(file)) return;
  const stacks = join(folder, ".pulumi", "stacks");
  if (existsSync(stacks) && readdirSync(stacks).length > 0) {
    throw new ToolchainError(
      `${file} is gone`,
      "it encrypts the secrets of the stacks that are there; a new one could not read them",
      "put it back from a backup, or set PULUMI_CONFIG_PASSPHRASE to what these stacks were made with",
    );
  }
  try {
    writeFileSync(file, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600, flag: "wx" });
  } catch (error) {
    // Another run may have made it in between.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** Lines for a POSIX shell: `eval "$(./fleet env)"`. */
export function shellExports(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`)
    .join("\n");
}

function passphraseFile(folder: string): string {
  return join(folder, "passphrase");
}
