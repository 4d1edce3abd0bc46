import type { Command } from "commander";
import { isAwsTarget } from "../../stacks/aws/plan.ts";
import type { Check } from "../doctor/check.ts";
import { render } from "../doctor/check.ts";
import { cloudChecks } from "../doctor/cloud.ts";
import { fleetCheck } from "../doctor/fleet.ts";
import { dataCheck, machineChecks } from "../doctor/machine.ts";
import { cacheCheck, toolChecks } from "../doctor/tools.ts";
import { withJson, withStack } from "../lib/options.ts";
import { result } from "../lib/terminal.ts";
import { checkStackName } from "../pulumi.ts";
import { rawSettings } from "../settings.ts";

export function register(program: Command): void {
  withJson(withStack(program.command("doctor")))
    .summary("what was chosen, and what is wrong with machine or account")
    .description(
      "Looks at tools, machine and fleet; on AWS at the account: quotas, zones, rights. Installs and changes nothing.",
    )
    .addHelpText("after", "\nExamples:\n  ./fleet doctor\n  ./fleet doctor --stack prod --json")
    .action(async ({ stack, json }: { stack: string; json?: boolean }) => {
      checkStackName(stack);
      const machine = await machineChecks(stack);
      const checks = [
        ...toolChecks(),
        cacheCheck(),
        dataCheck(),
        ...machine.checks,
        ...(await fleetChecks(stack, machine.target)),
      ];
      const ok = checks.every(({ state }) => state !== "fail");
      result(json === true, { version: 1, stack, ok, checks }, () => render(checks));
      if (!ok) process.exitCode = 1;
    });
}

/** The fleet itself on this machine; the account where it is to be on AWS. */
async function fleetChecks(stack: string, target: string | null): Promise<Check[]> {
  const place = target ?? String(rawSettings(stack).target ?? "local");
  if (place === "local") return [await fleetCheck(stack)];
  // Settings that are wrong make no plan, and without one nobody knows what to ask for.
  return target !== null && isAwsTarget(target) ? cloudChecks(stack) : [];
}
