import { isCancel, text } from "@clack/prompts";
import type { Command } from "commander";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { canAsk, withStack, withWait } from "../lib/options.ts";
import {
  askPulumi,
  checkStackName,
  type PulumiRunner,
  preparePulumi,
  requireStack,
  runForStack,
} from "../pulumi.ts";
import { keepsData, rawSettings } from "../settings.ts";

export function register(program: Command): void {
  withWait(withStack(program.command("destroy")))
    .summary("stop the fleet and remove what it made")
    .description("Runs `pulumi destroy`, after saying what dies and asking for the stack's name.")
    .option("-y, --yes", "do not ask for the name")
    .argument("[pulumi options...]", "further options of `pulumi destroy`, handed on")
    .allowUnknownOption()
    .addHelpText("after", "\nExamples:\n  ./fleet destroy\n  ./fleet destroy --stack drill-1 --yes")
    .action(
      async (
        args: string[],
        { stack, yes, wait }: { stack: string; yes?: boolean; wait: number },
      ) => {
        checkStackName(stack);
        if (!yes && !canAsk()) {
          throw new UsageError(
            "destroy asks for the stack's name, and there is no terminal: add --yes",
          );
        }
        refuseProtected(stack);
        const runner = await preparePulumi({ release: true });
        requireStack(runner, stack);
        process.stderr.write(`${whatDies(runner, stack)}\n`);
        if (!yes) await confirmByName(stack);
        await runForStack(runner, "destroy", stack, ["--yes", ...args], wait);
      },
    );
}

/** A production stack is destroyed in two steps, so that one wrong word cannot do it. */
function refuseProtected(stack: string): void {
  if (rawSettings(stack).environment !== "prod") return;
  throw new CommandFailed(
    `Stack ${stack} is protected`,
    `openclaw-fleet:environment is prod in Pulumi.${stack}.yaml`,
    `set it to staging, run ./fleet up --stack ${stack}, then destroy again`,
  );
}

/** What there is to lose, as the stack's own outputs and settings say. */
function whatDies(runner: PulumiRunner, stack: string): string {
  const found = askPulumi(runner, ["stack", "output", "--json", "--stack", stack]);
  const outputs = JSON.parse(found ?? "{}") as Record<string, unknown>;
  const list = (name: string) => (Array.isArray(outputs[name]) ? (outputs[name] as string[]) : []);
  const nodes = list("nodes");
  const shards = list("shards");
  const kept = keepsData(rawSettings(stack));
  return [
    `Stack ${stack}${outputs.endpoint ? `, serving at ${String(outputs.endpoint)}` : ""}:`,
    `  nodes that stop:  ${nodes.join(", ") || "none recorded"}`,
    `  shards that stop: ${shards.join(", ") || "none recorded"}`,
    kept
      ? "  conversations, memories and configuration are KEPT on disk, as keepData says"
      : "  conversations, memories and configuration on them are DELETED (keepData: true keeps them)",
  ].join("\n");
}

async function confirmByName(stack: string): Promise<void> {
  const answer = await text({
    message: `Type the stack's name (${stack}) to destroy it`,
    output: process.stderr,
  });
  if (isCancel(answer) || String(answer).trim() !== stack) {
    throw new CommandFailed(`Nothing was destroyed`, "the name was not typed");
  }
}
