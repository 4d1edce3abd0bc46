import { chmodSync, existsSync, realpathSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { PROJECT_ROOT } from "./paths.ts";
import type { Tool } from "./tool.ts";

const NAME = "pulumi-language-nodejs";

/** Names the program behind {@link placeLauncher}'s launcher; `./fleet env` exports it. */
export const LANGUAGE_HOST_VARIABLE = "OPENCLAW_FLEET_LANGUAGE_HOST_MAIN";
/** The project's own language host. */
export const LANGUAGE_HOST_MAIN = join(PROJECT_ROOT, "toolchain", "language-host", "main.ts");

/**
 * The program through which Pulumi runs Node programs: the official one when it is beside the CLI
 * (as in every official package), else the project's own. Nothing is installed.
 */
export function ensureLanguageHost(pulumi: Pick<Tool, "path" | "version" | "source">): Tool {
  const own = {
    version: sdkVersion(),
    source: "project",
    why: "the CLI came without the official one",
  } as const;
  for (const folder of [dirname(pulumi.path), dirname(realpathSync(pulumi.path))]) {
    const path = join(folder, NAME);
    if (!existsSync(path)) continue;
    if (pulumi.source === "build") return { path, ...own };
    return { path, version: pulumi.version, source: "beside", why: "official, beside the CLI" };
  }
  return { path: join(PROJECT_ROOT, "toolchain", "language-host", "bin", NAME), ...own };
}

/**
 * Puts a launcher of the project's own language host beside a CLI that was built here. There Pulumi
 * takes it as bundled; one that it finds on PATH makes it warn in every run. The cache is shared by
 * clones, so the launcher reads from the environment which clone's program it starts.
 */
export function placeLauncher(folder: string): void {
  const file = join(folder, NAME);
  const lines = [
    "#!/bin/sh",
    `exec "\${OPENCLAW_FLEET_NODE:-node}" "\${${LANGUAGE_HOST_VARIABLE}:?run ./fleet, or first: eval \\"\\$(./fleet env)\\"}" "$@"`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  chmodSync(file, 0o755);
}

function sdkVersion(): string {
  const manifest = createRequire(import.meta.url)("@pulumi/pulumi/package.json") as {
    version: string;
  };
  return manifest.version;
}
