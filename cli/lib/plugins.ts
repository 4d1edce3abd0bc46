import { createRequire } from "node:module";
import { onPath } from "../../toolchain/command.ts";
import { askPulumi, type PulumiRunner, runPulumi } from "../pulumi.ts";
import { cloudTarget } from "./cloud-status.ts";
import { CommandFailed } from "./errors.ts";
import { say } from "./terminal.ts";

/**
 * Gets providers at the versions of their packages, once, with Pulumi's own progress. Pulumi's habit of
 * getting them by itself is off, since it would come as a surprise of some hundred megabytes.
 */
export async function ensureProviders(
  runner: PulumiRunner,
  names: readonly string[],
): Promise<void> {
  const wanted = names.filter((name) => !onPath(`pulumi-resource-${name}`, runner.env));
  if (wanted.length === 0) return;
  const listed = JSON.parse(askPulumi(runner, ["plugin", "ls", "--json"]) ?? "[]") as {
    name: string;
    kind: string;
    version?: string;
  }[];
  for (const name of wanted) {
    const version = versionOf(name);
    const there = listed.some(
      (each) => each.kind === "resource" && each.name === name && each.version === version,
    );
    if (there) continue;
    say(`fleet: getting Pulumi's provider ${name} ${version}`);
    const code = await runPulumi(runner, ["plugin", "install", "resource", name, version]);
    if (code !== 0) {
      throw new CommandFailed(
        `Pulumi's provider ${name} ${version} could not be had`,
        "Pulumi's own words are above",
        `look at the network, or put pulumi-resource-${name} on PATH, then run this again`,
      );
    }
  }
}

/** Providers of what a stack registers beside our own; nothing on this machine. */
export async function ensureStackProviders(runner: PulumiRunner, stack: string): Promise<void> {
  const target = cloudTarget(stack);
  if (!target) return;
  const cluster = target === "eks" ? ["kubernetes"] : [];
  await ensureProviders(runner, ["aws", "random", ...cluster]);
}

function versionOf(name: string): string {
  const require = createRequire(import.meta.url);
  return (require(`@pulumi/${name}/package.json`) as { version: string }).version;
}
