import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { ConfigError } from "../components/errors.ts";
import { nodeConfig, type Release } from "../gateway/config.ts";
import { deployAws } from "./aws/deploy.ts";
import { isAwsTarget } from "./aws/plan.ts";
import { deployHosts } from "./hosts/deploy.ts";
import { deployLocal } from "./local.ts";
import type { StackOutputs } from "./outputs.ts";
import { planStack } from "./plan.ts";
import { sealWith, secretAt } from "./secrets.ts";
import { loadSettings, locate } from "./settings.ts";
import { readStackFile } from "./stack-file.ts";

/** Pulumi takes policies by an option, which a person who types `pulumi up` leaves out. */
const POLICIES_REMEDY =
  'run ./fleet up, or first: eval "$(./fleet env)". Nothing has judged this change.';

/** The program of every stack: settings, a plan, the target's resources. */
async function deploy(): Promise<Partial<StackOutputs>> {
  const stack = pulumi.getStack();
  const file = readStackFile(join(projectDir(), `Pulumi.${stack}.yaml`));
  const config = pulumi.runtime.allConfig();
  const { settings, fromEnv } = loadSettings({ config, file, env: process.env });
  if (settings.environment === "prod" && !process.env.OPENCLAW_FLEET_POLICIES) {
    await pulumi.log.warn(`policies not run: ${POLICIES_REMEDY}`);
  }
  const { target } = settings;
  const isSecret = secretAt({
    secure: file?.secure ?? [],
    fromEnv,
    secretSettings: secretSettings(),
  });
  if (isAwsTarget(target)) {
    return await located(() => deployAws({ stack, settings: { ...settings, target }, isSecret }));
  }
  if (target === "hosts") return await located(() => deployHosts({ stack, settings, isSecret }));
  const plan = (await located(() => planStack(stack, settings))).fleet;
  return deployLocal({
    stack,
    settings,
    plan,
    release: await release(),
    env: process.env,
    seal: sealWith(isSecret, (value) => pulumi.secret(value)),
  });

  async function located<T>(work: () => T | Promise<T>): Promise<T> {
    try {
      return await work();
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

async function main(): Promise<Partial<StackOutputs>> {
  try {
    return await deploy();
  } catch (error) {
    // Pulumi prints the message of a RunError alone; a stack trace says nothing about a setting.
    const known = error instanceof Error && ["ConfigError", "ToolchainError"].includes(error.name);
    throw known ? new pulumi.RunError(error.message) : error;
  }
}

// As a default, since targets export more than what every stack has.
export default await main();
