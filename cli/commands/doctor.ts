import type { Command } from "commander";
import { isAwsTarget } from "../../stacks/aws/plan.ts";
import { findPulumi } from "../../toolchain/pulumi.ts";
import type { Check } from "../doctor/check.ts";
import { render } from "../doctor/check.ts";
import { cloudChecks } from "../doctor/cloud.ts";
import { fleetCheck } from "../doctor/fleet.ts";
import { dataCheck, machineChecks } from "../doctor/machine.ts";
import { sessionChecks } from "../doctor/sessions.ts";
import { cacheCheck, toolChecks } from "../doctor/tools.ts";
import { targetOf } from "../lib/fleet-place.ts";
import { usesSessions } from "../lib/host-sessions.ts";
import { withJson, withStack } from "../lib/options.ts";
import { result } from "../lib/terminal.ts";
import { checkStackName } from "../pulumi.ts";

export function register(program: Command): void {
  withJson(withStack(program.command("doctor")))
    .summary("what was chosen, and what is wrong with machine or account")
    .description(
      "Looks at tools, machine and fleet; on AWS at the account (quotas, zones, rights) and the way to its machines. Installs and changes nothing.",
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

/** The fleet itself, wherever it is; the account and the way to the machines in it where that is AWS. */
async function fleetChecks(stack: string, target: string | null): Promise<Check[]> {
  const place = target ?? targetOf(stack);
  if (place === "local") return [await fleetCheck(stack)];
  // Settings that are wrong make no plan, and without one nobody knows what to ask for.
  if (target === null) return [];
  const mayCarry = target === "hosts" || usesSessions(stack);
  return [
    ...(isAwsTarget(target) ? await cloudChecks(stack) : []),
    ...sessionChecks(stack),
    // Finding a fleet elsewhere takes Pulumi, and nothing is installed here.
    ...(mayCarry && findPulumi() !== null ? [await fleetCheck(stack)] : []),
  ];
}
