import { ensurePolicyPack } from "../toolchain/policy-pack.ts";
import type { PulumiRunner } from "./pulumi.ts";

/** Tells the program that Pulumi was given the policies; `./fleet env` exports it with them. */
export const POLICIES_VARIABLE = "OPENCLAW_FLEET_POLICIES";

/** Options that make Pulumi ask the policies, and the environment that says so to the program. */
export async function withPolicies(
  runner: PulumiRunner,
): Promise<{ runner: PulumiRunner; options: readonly string[] }> {
  const folder = await ensurePolicyPack();
  return {
    runner: { ...runner, env: { ...runner.env, [POLICIES_VARIABLE]: folder } },
    options: ["--policy-pack", folder],
  };
}
