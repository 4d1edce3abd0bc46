import type { Command } from "commander";
import { render } from "../doctor/check.ts";
import { fleetCheck } from "../doctor/fleet.ts";
import { dataCheck, machineChecks } from "../doctor/machine.ts";
import { cacheCheck, toolChecks } from "../doctor/tools.ts";
import { withJson, withStack } from "../lib/options.ts";
import { result } from "../lib/terminal.ts";
import { checkStackName } from "../pulumi.ts";

export function register(program: Command): void {
  withJson(withStack(program.command("doctor")))
    .summary("what was chosen, and what is wrong with this machine")
    .description("Looks at tools, machine and fleet. Installs and changes nothing.")
    .addHelpText("after", "\nExamples:\n  ./fleet doctor\n  ./fleet doctor --stack prod --json")
    .action(async ({ stack, json }: { stack: string; json?: boolean }) => {
      checkStackName(stack);
      const checks = [
        ...toolChecks(),
        cacheCheck(),
        dataCheck(),
        ...(await machineChecks(stack)),
        await fleetCheck(stack),
      ];
      const ok = checks.every(({ state }) => state !== "fail");
      result(json === true, { version: 1, stack, ok, checks }, () => render(checks));
      if (!ok) process.exitCode = 1;
    });
}
