import type { Command } from "commander";
import { isAwsTarget } from "../../stacks/aws/plan.ts";
import { findPulumi } from "../../toolchain/pulumi.ts";
import { certificateChecks } from "../doctor/certificates.ts";
import type { Check } from "../doctor/check.ts";
import { render } from "../doctor/check.ts";
import { cloudChecks } from "../doctor/cloud.ts";
import { fleetChecks } from "../doctor/fleet.ts";
import { hostChecks } from "../doctor/hosts.ts";
import { dataCheck, machineChecks } from "../doctor/machine.ts";
import { sessionChecks } from "../doctor/sessions.ts";
import { cacheCheck, toolChecks } from "../doctor/tools.ts";
import { accessAt } from "../lib/fleet.ts";
import { requireFleet, targetOf } from "../lib/fleet-place.ts";
import { hostsOf } from "../lib/host-logs.ts";
import { usesSessions } from "../lib/host-sessions.ts";
import { withJson, withStack } from "../lib/options.ts";
import { result, say } from "../lib/terminal.ts";
import { checkStackName } from "../pulumi.ts";

export function register(program: Command): void {
  withJson(withStack(program.command("doctor")))
    .summary("what was chosen, and what is wrong with machine or account")
    .description(
      "Looks at tools, machine and fleet; on hosts at each of them over SSH (clock, disk, units, its member of etcd) and at the certificates; on AWS at the account (quotas, zones, rights) and the way to its machines. Installs and changes nothing.",
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
        ...(await checksOf(stack, machine.target)),
      ];
      const ok = checks.every(({ state }) => state !== "fail");
      result(json === true, { version: 1, stack, ok, checks }, () => render(checks));
      if (!ok) process.exitCode = 1;
    });
}

/** The fleet itself, wherever it is; the account and the way to the machines in it where that is AWS. */
async function checksOf(stack: string, target: string | null): Promise<Check[]> {
  const place = target ?? targetOf(stack);
  if (place === "local") return await fleetChecks(stack);
  // Settings that are wrong make no plan, and without one nobody knows what to ask for.
  if (target === null) return [];
  if (target === "hosts") return findPulumi() === null ? [notLooked(stack)] : await onHosts(stack);
  return [
    ...(isAwsTarget(target) ? await cloudChecks(stack) : []),
    ...sessionChecks(stack),
    // Finding a fleet elsewhere takes Pulumi, and nothing is installed here.
    ...(usesSessions(stack) && findPulumi() !== null ? await fleetChecks(stack) : []),
  ];
}

/** Where a fleet elsewhere is, Pulumi's state says; nothing is installed for looking. */
const notLooked = (stack: string): Check => ({
  id: "hosts",
  state: "warn",
  text: "not looked at: there is no Pulumi here yet",
  fix: `./fleet preview --stack ${stack}`,
});

/** A fleet on machines that exist: what it says of itself, and each machine, also when it says nothing. */
async function onHosts(stack: string): Promise<Check[]> {
  let place: Awaited<ReturnType<typeof requireFleet>>;
  try {
    place = await requireFleet(stack, { showSecrets: true });
  } catch (error) {
    return fleetChecks(stack, () => Promise.reject(error));
  }
  if (place.at === "here") return fleetChecks(stack);
  const { outputs } = place;
  const hosts = hostsOf(outputs);
  say(`fleet: looking at ${hosts.length} hosts`);
  const { openSsh } = await import("../../plugin/host/ssh.ts");
  const [fleet, machines, certificates] = await Promise.all([
    fleetChecks(stack, async () => accessAt(stack, place)),
    hostChecks(stack, hosts, openSsh),
    certificateChecks(stack, outputs),
  ]);
  return [...fleet, ...machines, ...certificates];
}
