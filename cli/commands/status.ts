import type { Command } from "commander";
import type { FleetStatus } from "../../gateway/contract.ts";
import { callJson } from "../lib/api.ts";
import { cloudTarget, lookAtCloud, renderCloudStatus } from "../lib/cloud-status.ts";
import { CommandFailed } from "../lib/errors.ts";
import { type FleetAccess, fleetAccess } from "../lib/fleet.ts";
import { withJson, withStack } from "../lib/options.ts";
import { outputsOf } from "../lib/stack-outputs.ts";
import { renderStatus } from "../lib/status-text.ts";
import { result } from "../lib/terminal.ts";
import { verdict } from "../lib/verdict.ts";
import { checkStackName, preparePulumi, requireStack } from "../pulumi.ts";

interface Options {
  stack: string;
  json?: boolean;
  check?: boolean;
  watch?: boolean;
  wide?: boolean;
}

export const fleetStatus = (access: FleetAccess): Promise<FleetStatus> =>
  callJson<FleetStatus>(access, "/api/v1/fleet", { as: "admin" });

async function once(options: Options): Promise<"ok" | "degraded" | "down"> {
  if (cloudTarget(options.stack)) return await onceInCloud(options);
  const access = await fleetAccess(options.stack);
  const status = await fleetStatus(access);
  const judged = verdict(status, options.stack);
  result(Boolean(options.json), { ...status, status: judged.level, notes: judged.notes }, () =>
    renderStatus(status, judged, { access, wide: Boolean(options.wide) }),
  );
  return judged.level;
}

/** A stack on AWS is known by its outputs, and asked at its endpoint. */
async function onceInCloud({ stack, json }: Options): Promise<"ok" | "degraded" | "down"> {
  checkStackName(stack);
  const runner = await preparePulumi({ release: false });
  requireStack(runner, stack);
  const status = await lookAtCloud(stack, outputsOf(runner, stack));
  result(Boolean(json), status, () => renderCloudStatus(status));
  return status.status;
}

/** Redraws until Ctrl-C; a fleet that stops answering is shown as such and does not end it. */
async function watch(options: Options): Promise<never> {
  const clear = process.stdout.isTTY ? "\x1b[H\x1b[2J" : "";
  for (;;) {
    process.stdout.write(clear);
    try {
      await once(options);
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      process.stdout.write(`${error.message}: ${error.why ?? ""}\n`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
}

export function register(program: Command): void {
  withJson(withStack(program.command("status")))
    .summary("nodes, shards, owners, and what needs a person")
    .option("--check", "exit 1 unless everything is in order")
    .option("--watch", "redraw every two seconds")
    .option("--wide", "all columns and all shards")
    .addHelpText("after", "\nExamples:\n  ./fleet status\n  ./fleet status --check --json")
    .action(async (options: Options) => {
      if (options.watch) await watch(options);
      const level = await once(options);
      if (options.check && level !== "ok") process.exitCode = 1;
    });
}
