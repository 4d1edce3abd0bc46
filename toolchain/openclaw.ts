import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { arch, platform } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { cacheEntry } from "./cache.ts";
import { ask, onPath, runLogged } from "./command.ts";
import { ToolchainError } from "./errors.ts";
import { cacheDir, PROJECT_ROOT } from "./paths.ts";
import { OPENCLAW } from "./pins.ts";
import { type EnsureOptions, type Tool, withDefaults } from "./tool.ts";

const FOLDER = join(PROJECT_ROOT, "toolchain", "openclaw");
const ENTRY = join("node_modules", "openclaw", "openclaw.mjs");

/** Counted on when something is installed differently, so that nothing old in a cache is taken for it. */
const INSTALLING = 1;

export interface OpenclawOptions extends EnsureOptions {
  /** Kind of Linux machine that it is to run on, in Node's words. Missing: this machine. */
  for?: "x64" | "arm64";
}

/** OpenClaw as it is in the cache, or null: looks only, installs nothing. */
export function findOpenclaw(options: OpenclawOptions = {}): Tool | null {
  const env = options.env ?? process.env;
  if (env.OPENCLAW_FLEET_OPENCLAW && !elsewhere(options)) {
    const path = env.OPENCLAW_FLEET_OPENCLAW;
    return {
      path,
      version: versionOf(path),
      source: "environment",
      why: "OPENCLAW_FLEET_OPENCLAW names it",
    };
  }
  const path = join(options.root ?? cacheDir(env), "openclaw", openclawKey(options), ENTRY);
  if (!existsSync(path)) return null;
  return {
    path,
    version: OPENCLAW.version,
    source: "npm",
    why: "pinned version, from the project's own lockfile",
  };
}

/**
 * The pinned OpenClaw, installed from npm into the cache by its own lockfile. No install scripts are
 * run: it works without them, and they are code of 330 packages that nobody looked at. npm runs on this
 * very Node: on an older one it leaves optional packages out without a word (docs/decisions/217-npm-on-this-node.md).
 */
export async function ensureOpenclaw(options: OpenclawOptions = {}): Promise<Tool> {
  const found = findOpenclaw(options);
  if (found) return found;
  const resolved = withDefaults(options);
  const env = options.env ?? process.env;
  const npm = onPath("npm", env);
  if (!npm) {
    throw new ToolchainError(
      "npm is not on PATH",
      `OpenClaw ${OPENCLAW.version} must be installed once, and npm does it`,
      "install any Node with npm, then run this again",
    );
  }
  await cacheEntry(
    "openclaw",
    openclawKey(options),
    async (folder) => {
      const step = resolved.progress.step(
        `OpenClaw ${OPENCLAW.version}`,
        "installing 330 packages, about 650 MB",
      );
      for (const name of ["package.json", "package-lock.json"]) {
        copyFileSync(join(FOLDER, name), join(folder, name));
      }
      const watch = setInterval(() => {
        execFile("du", ["-sm", folder], (error, stdout) => {
          const mb = Number.parseInt(stdout, 10);
          if (!error && mb > 0) step.note(`${mb} of about 650 MB in place`);
        });
      }, 4_000);
      try {
        await runLogged(
          npm,
          [
            ...["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            ...(elsewhere(options) ? ["--os=linux", `--cpu=${options.for}`, "--libc=glibc"] : []),
          ],
          { cwd: folder, env: onThisNode(npm, env) },
        );
        step.done("installed");
      } catch (error) {
        step.failed("npm failed");
        throw new ToolchainError(
          `OpenClaw ${OPENCLAW.version} could not be installed`,
          error instanceof Error ? error.message : String(error),
          "check that npm reaches its registry, then run this again",
        );
      } finally {
        clearInterval(watch);
      }
    },
    { ...resolved, root: options.root ?? cacheDir(options.env) },
  );
  const tool = findOpenclaw(options);
  if (!tool) {
    throw new ToolchainError(
      "the cached OpenClaw is incomplete",
      `${ENTRY} is missing in ${join(options.root ?? cacheDir(options.env), "openclaw", openclawKey(options))}`,
      "remove that folder and run this again",
    );
  }
  return tool;
}

/**
 * Environment in which npm runs on the Node that runs this, and still reaches what it reaches on its own: it looks
 * for the machine's settings (a mirror, a proxy) beside its Node, and Nodes differ in whom they trust.
 */
function onThisNode(npm: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const settings = ask(npm, ["config", "get", "globalconfig"], env);
  return {
    ...(settings ? { npm_config_globalconfig: settings } : {}),
    // Those of the system beside Node's own, as the Nodes of distributions do.
    NODE_USE_SYSTEM_CA: "1",
    ...env,
    PATH: [dirname(process.execPath), env.PATH ?? ""].join(delimiter),
  };
}

/** Version, lockfile, way of installing: another lockfile of the same version is another entry. */
export function openclawKey(options: OpenclawOptions = {}): string {
  const lock = readFileSync(join(FOLDER, "package-lock.json"));
  const key = `${OPENCLAW.version}-${createHash("sha256").update(lock).update(`\0${INSTALLING}`).digest("hex").slice(0, 8)}`;
  return elsewhere(options) ? `${key}-linux-${options.for}` : key;
}

/** True when npm must choose what it installs for another kind of machine. */
function elsewhere(options: OpenclawOptions): boolean {
  return options.for !== undefined && (platform() !== "linux" || arch() !== options.for);
}

function versionOf(entry: string): string {
  try {
    const manifest = readFileSync(join(entry, "..", "package.json"), "utf8");
    return (JSON.parse(manifest) as { version: string }).version;
  } catch (error) {
    throw new ToolchainError(
      `OPENCLAW_FLEET_OPENCLAW is ${entry}, which is not OpenClaw's entry file`,
      error instanceof Error ? error.message : String(error),
      "set it to the path of openclaw.mjs, or unset it",
    );
  }
}
