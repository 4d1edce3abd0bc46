import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { mergeParts } from "../../../components/host/merge.ts";
import {
  FLEET_USER,
  HOST_PATHS,
  HOST_PORTS,
  type HostContext,
  type HostPart,
} from "../../../components/host/types.ts";
import type { NodePlanInput } from "../../../components/node/plan.ts";
import { bundleRuntime } from "../../../toolchain/bundle.ts";
import type { TestHost } from "./host.ts";

const ROOT = join(import.meta.dirname, "../../..");
const FAKE_OPENCLAW = join(ROOT, "test/fleet-fast/programs/openclaw.ts");

export const TOKENS = { client: "c".repeat(43), admin: "a".repeat(43), peer: "p".repeat(43) };
export const tokenSecrets = {
  "token.client": TOKENS.client,
  "token.admin": TOKENS.admin,
  "token.peer": TOKENS.peer,
};

/** What fleet.json says of a fleet with one agent on shards of its own. */
export function fleetSettings(shards: readonly string[]): NodePlanInput["fleet"] {
  return {
    version: 1,
    fleet: "lab",
    target: "hosts",
    preset: "small",
    shards: shards.map((id) => ({ id, agents: ["main"], recycleMiB: 2_048 })),
    agents: [
      {
        name: "main",
        shards: [...shards],
        homeShard: shards[0] as string,
        channels: {},
        cron: [],
        env: {},
      },
    ],
    models: { primary: "none/none", fallbacks: [], providers: {} },
    openclaw: {},
    channelBinding: {},
    tokens: {
      client: ["{{secret token.client}}"],
      admin: "{{secret token.admin}}",
      peer: "{{secret token.peer}}",
    },
    trustedProxies: [],
    scrapers: [],
    turnBudgetMs: 60_000,
  };
}

/** Programs of a release in which gateways boot at once, ready to be put on hosts. */
export async function fastRelease(): Promise<Record<string, string>> {
  const runtime = await bundleRuntime(ROOT);
  const openclaw = await build({
    entryPoints: [FAKE_OPENCLAW],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node24",
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "silent",
  });
  return {
    ...Object.fromEntries(runtime.files.map(({ name, text }) => [`runtime/${name}`, text])),
    "runtime/package.json": '{ "type": "module" }\n',
    "openclaw/openclaw.mjs": openclaw.outputFiles[0]?.text ?? "",
  };
}

export function contextFor(hosts: readonly TestHost[], self: TestHost): HostContext {
  const facts = hosts.map(({ name, address }) => ({ name, address }));
  return {
    fleet: "lab",
    self: { name: self.name, address: self.address },
    hosts: facts,
    paths: { ...HOST_PATHS, release: `${HOST_PATHS.releases}/test` },
    ports: HOST_PORTS,
  };
}

/** Puts a release on a host: this Node, and the programs given. */
export async function putRelease(
  host: TestHost,
  context: HostContext,
  files: Record<string, string>,
): Promise<void> {
  const at = (path: string) => join(`/proc/${host.pid}/root`, context.paths.release, path);
  mkdirSync(at("bin"), { recursive: true });
  copyFileSync(process.execPath, at("bin/node"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
  }
  await host.run(`chmod -R a+rX ${HOST_PATHS.root}; chmod 0755 ${context.paths.release}/bin/node`);
}

/** Makes the host what the parts say, in the simplest way; units are not started. */
export async function carryOut(
  host: TestHost,
  parts: readonly HostPart[],
  secrets: Readonly<Record<string, string>>,
): Promise<void> {
  const plan = mergeParts(parts);
  for (const [name, { home }] of Object.entries(plan.users)) {
    await host.run(
      `id -u ${name} >/dev/null 2>&1 || useradd --system --user-group --home-dir ${home} --shell /usr/sbin/nologin ${name}`,
    );
  }
  for (const path of Object.keys(plan.directories).sort()) {
    const { owner, group, mode } = plan.directories[path] as (typeof plan.directories)[string];
    await host.run(["install", "-d", "-o", owner, "-g", group, "-m", mode, path]);
  }
  for (const [path, { content, owner, group, mode, format }] of Object.entries(plan.files)) {
    const text = content.replaceAll(/\{\{secret ([^}]+)\}\}/g, (_, name: string) => {
      const value = secrets[name];
      if (value === undefined) throw new Error(`no secret ${name}`);
      return format === "json" ? JSON.stringify(value).slice(1, -1) : value;
    });
    await host.run(
      `cat > ${path}.new && chown ${owner}:${group} ${path}.new && chmod ${mode} ${path}.new && mv ${path}.new ${path}`,
      { stdin: text },
    );
  }
  for (const [name, { content }] of Object.entries(plan.units)) {
    if (content !== undefined) {
      await host.run(`cat > /etc/systemd/system/${name}`, { stdin: content });
    }
  }
  await host.run("systemctl daemon-reload");
}

/** What only tests need: the stand-in's record of itself, which is beside the data; and a short patience. */
export async function forTests(
  host: TestHost,
  unit: string,
  watchdogSeconds: number,
): Promise<void> {
  const trace = `${HOST_PATHS.data}.trace`;
  await host.run(`touch ${trace}; chown ${FLEET_USER}: ${trace}`);
  const dropIn = `[Service]\nReadWritePaths=${trace}\nWatchdogSec=${watchdogSeconds}\n`;
  await host.run(
    `mkdir -p /etc/systemd/system/${unit}.d; cat > /etc/systemd/system/${unit}.d/test.conf`,
    {
      stdin: dropIn,
    },
  );
  await host.run("systemctl daemon-reload");
}
