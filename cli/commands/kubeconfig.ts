import { resolve } from "node:path";
import type { Command } from "commander";
import { stringify } from "yaml";
import { onPath } from "../../toolchain/command.ts";
import { clusterOf, type Kubeconfig } from "../lib/cluster-access.ts";
import {
  kubeconfigPath,
  merged,
  readKubeconfig,
  renamed,
  writeKubeconfig,
} from "../lib/kubeconfig-file.ts";
import { withJson, withStack } from "../lib/options.ts";
import { outputsOf } from "../lib/stack-outputs.ts";
import { result, say } from "../lib/terminal.ts";
import { checkStackName, preparePulumi, requireStack } from "../pulumi.ts";

interface Options {
  stack: string;
  json?: boolean;
  write?: true | string;
  context?: string;
}

async function kubeconfig({ stack, json, write, context }: Options): Promise<void> {
  checkStackName(stack);
  const runner = await preparePulumi({ release: false });
  requireStack(runner, stack);
  const cluster = clusterOf(stack, outputsOf(runner, stack));
  const config: Kubeconfig = context ? renamed(cluster.kubeconfig, context) : cluster.kubeconfig;
  if (!onPath("aws")) {
    say("fleet: this configuration asks the AWS CLI for tokens, and there is no `aws` on PATH");
  }
  if (write === undefined) return result(json === true, config, () => stringify(config).trimEnd());
  const path = write === true ? kubeconfigPath() : resolve(write);
  writeKubeconfig(path, merged(readKubeconfig(path), config, path));
  const name = String(config["current-context"]);
  result(json === true, { version: 1, path, context: name }, () => `Wrote ${name} to ${path}.`);
  say(`Next:  kubectl --context ${name} get nodes`);
}

export function register(program: Command): void {
  withJson(withStack(program.command("kubeconfig")))
    .summary("how kubectl reaches the stack's cluster (eks)")
    .description(
      "Prints a kubeconfig that asks the AWS CLI for short-lived tokens: there is no secret in it.",
    )
    .option("--write [file]", "put it into KUBECONFIG or ~/.kube/config; the rest there stays")
    .option("--context <name>", "call it so instead of as the cluster is called")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet kubeconfig --stack prod > prod.kubeconfig\n  ./fleet kubeconfig --stack prod --write",
    )
    .action(kubeconfig);
}
