import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { redact } from "../../gateway/observe/log.ts";
import { CommandFailed } from "../lib/errors.ts";
import { fleetAccess } from "../lib/fleet.ts";
import { recordedHosts } from "../lib/host-logs.ts";
import { nodeLogs } from "../lib/log-lines.ts";
import { withStack } from "../lib/options.ts";
import { settingSecrets, unknownHere } from "../lib/setting-secrets.ts";
import { clean, hostParts, type Part, secretsOf } from "../lib/support-parts.ts";
import { say } from "../lib/terminal.ts";
import { preparePulumi } from "../pulumi.ts";
import { rawSettings } from "../settings.ts";
import { fleetStatus } from "./status.ts";

/** The newest part of each log: enough for hours of an ordinary day. */
const LOG_BYTES = 4 * 2 ** 20;

async function support(options: { stack: string; out?: string }): Promise<void> {
  const access = await fleetAccess(options.stack);
  const { config, dataDir } = access;
  const secrets = [
    access.token,
    access.adminToken,
    ...secretsOf(config?.tokens),
    ...secretsOf(config?.models === "demo" ? null : config?.models.providers),
    ...secretsOf(config?.openclaw),
    ...(config?.agents ?? []).flatMap((agent) => [
      ...secretsOf(agent.channels),
      ...secretsOf(agent.env),
    ]),
    ...(config === null ? await ofSettings(options.stack) : []),
  ];
  const parts: Part[] = [
    { name: "status.json", text: async () => asText(await fleetStatus(access)) },
    config === null
      ? { name: "settings.json", text: () => asText(redact(rawSettings(options.stack))) }
      : { name: "fleet.json", text: () => asText(redact(config)) },
    {
      name: "versions.json",
      text: () => asText({ node: process.version, platform: process.platform, arch: process.arch }),
    },
    ...[...nodeLogs(dataDir ?? "")].map(([id, path]) => ({
      name: `node-${id}.log`,
      text: () => readFileSync(path).subarray(-LOG_BYTES).toString("utf8"),
    })),
    ...(dataDir === null ? await onHosts(options.stack) : []),
  ];
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "");
  const out = resolve(options.out ?? `fleet-support-${options.stack}-${stamp}.tar.gz`);
  if (existsSync(out))
    throw new CommandFailed(`${out} is there already`, undefined, "name another file with --out");
  const folder = join(tmpdir(), `fleet-support-${process.pid}`, `fleet-support-${options.stack}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    say("The bundle holds, with tokens and keys taken out:");
    for (const part of parts) {
      let text: string;
      try {
        text = clean(await part.text(), secrets);
      } catch (error) {
        text = `could not be had: ${(error as Error).message}`;
      }
      writeFileSync(join(folder, part.name), text, { mode: 0o600 });
      say(`  ${part.name}  ${Math.ceil(text.length / 1024)} KiB`);
    }
    const packed = spawnSync("tar", [
      "-czf",
      out,
      "-C",
      join(folder, ".."),
      `fleet-support-${options.stack}`,
    ]);
    if (packed.status !== 0) {
      throw new CommandFailed(
        "The bundle could not be packed",
        packed.stderr?.toString() || packed.error?.message,
      );
    }
    process.stdout.write(`${out}\n`);
  } finally {
    rmSync(join(folder, ".."), { recursive: true, force: true });
  }
}

const asText = (value: unknown): string => JSON.stringify(value, null, 2);

/** What nodes on other machines were given stands in no file here. */
async function ofSettings(stack: string): Promise<string[]> {
  const settings = rawSettings(stack);
  const secrets = settingSecrets(await preparePulumi({ release: false }), stack, settings);
  const unknown = unknownHere(settings);
  if (unknown) say(unknown);
  return secrets;
}

async function onHosts(stack: string): Promise<Part[]> {
  const { hosts } = await recordedHosts(stack);
  const { openSsh } = await import("../../plugin/host/ssh.ts");
  return hostParts(hosts, openSsh);
}

export function register(program: Command): void {
  withStack(program.command("support"))
    .summary("one file with logs and status, secrets taken out")
    .option("-o, --out <file>", "where to write it")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet support\n  ./fleet support --stack prod --out /tmp/prod.tar.gz",
    )
    .action(support);
}
