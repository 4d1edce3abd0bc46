import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { ConfigError } from "../components/errors.ts";
import { nodeConfig, type Release } from "../gateway/config.ts";
import { deployLocal, type StackOutputs } from "./local.ts";
import { planFleet } from "./presets.ts";
import { sealWith, secretAt } from "./secrets.ts";
import { loadSettings, locate } from "./settings.ts";
import { readStackFile } from "./stack-file.ts";

/** The program of every stack: settings, a plan, the target's resources. */
async function deploy(): Promise<StackOutputs> {
  const stack = pulumi.getStack();
  const file = readStackFile(join(projectDir(), `Pulumi.${stack}.yaml`));
  const config = pulumi.runtime.allConfig();
  const { settings, fromEnv } = loadSettings({ config, file, env: process.env });
  if (settings.target !== "local") {
    const fault = {
      setting: "target",
      problem: `is ${settings.target}, and this version deploys to local only.`,
      remedy: "Set it to local",
    };
    throw locate(new ConfigError([fault]), file);
  }
  const plan = planned(() => planFleet(settings));
  const secret = secretAt({
    secure: file?.secure ?? [],
    fromEnv,
    secretSettings: secretSettings(),
  });
  return deployLocal({
    stack,
    settings,
    plan,
    release: await release(),
    env: process.env,
    seal: sealWith(secret, (value) => pulumi.secret(value)),
  });

  function planned<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw error instanceof ConfigError ? locate(error, file) : error;
    }
  }
}

/** The folder of Pulumi.yaml: Pulumi starts programs in it or below it. */
function projectDir(): string {
  for (let dir = process.cwd(); ; dir = dirname(dir)) {
    if (existsSync(join(dir, "Pulumi.yaml")) || dir === dirname(dir)) return dir;
  }
}

/** What nodes run: as the caller prepared it, or made ready now. */
async function release(): Promise<Release> {
  const given = process.env.OPENCLAW_FLEET_RELEASE_JSON;
  if (given) return nodeConfig.shape.release.parse(JSON.parse(given));
  const { ensureRelease } = await import("../toolchain/release.ts");
  return await ensureRelease();
}

/** Names of settings that hold an encrypted value somewhere. */
function secretSettings(): string[] {
  const keys: unknown = JSON.parse(process.env.PULUMI_CONFIG_SECRET_KEYS || "[]");
  return Array.isArray(keys) ? keys.map((key) => String(key).split(":").at(-1) ?? "") : [];
}

async function main(): Promise<StackOutputs> {
  try {
    return await deploy();
  } catch (error) {
    // Pulumi prints the message of a RunError alone; a stack trace says nothing about a setting.
    const known = error instanceof Error && ["ConfigError", "ToolchainError"].includes(error.name);
    throw known ? new pulumi.RunError(error.message) : error;
  }
}

export const { endpoint, token, adminToken, target, preset, nodes, shards } = await main();
