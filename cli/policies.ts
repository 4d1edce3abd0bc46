import { ensurePolicyPack } from "../toolchain/policy-pack.ts";
import type { PulumiRunner } from "./pulumi.ts";

/** Tells the program that Pulumi was given the policies. */
export const POLICIES_VARIABLE = "OPENCLAW_FLEET_POLICIES";

/** Pulumi takes every option from the environment too, where a person does not type it. */
const OPTION = "PULUMI_OPTION_POLICY_PACK";

/** Variables under which any `pulumi up` and `pulumi preview` asks the policies. */
export async function policyVariables(): Promise<Record<string, string>> {
  const folder = await ensurePolicyPack();
  return { [OPTION]: folder, [POLICIES_VARIABLE]: folder };
}

/**
 * The same runner with the policies. The pack reads the stack's file: another one than the usual is
 * named by `--config-file` among the arguments.
 */
export async function withPolicies(
  runner: PulumiRunner,
  args: readonly string[] = [],
): Promise<PulumiRunner> {
  const file = configFile(args);
  return {
    ...runner,
    env: {
      ...runner.env,
      ...(await policyVariables()),
      ...(file === undefined ? {} : { OPENCLAW_FLEET_STACK_FILE: file }),
    },
  };
}

function configFile(args: readonly string[]): string | undefined {
  const i = args.findIndex((arg) => arg === "--config-file" || arg.startsWith("--config-file="));
  const given = args[i];
  if (given === undefined) return undefined;
  return given.includes("=") ? given.slice(given.indexOf("=") + 1) : args[i + 1];
}
