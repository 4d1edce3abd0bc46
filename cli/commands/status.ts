import type { Command } from "commander";
import type { FleetStatus } from "../../gateway/contract.ts";
import { callJson } from "../lib/api.ts";
import { lookAtCloud, renderCloudStatus } from "../lib/cloud-status.ts";
import { CommandFailed } from "../lib/errors.ts";
import { accessAt, type FleetAccess } from "../lib/fleet.ts";
import { findFleet } from "../lib/fleet-place.ts";
import { withJson, withStack } from "../lib/options.ts";
import { renderStatus } from "../lib/status-text.ts";
import { result } from "../lib/terminal.ts";
import { verdict } from "../lib/verdict.ts";

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
  const place = await findFleet(options.stack, { showSecrets: true });
  if (place.at === "nowhere") return await onceInCloud(options, place.outputs);
  const access = accessAt(options.stack, place);
  const status = await fleetStatus(access);
  const judged = verdict(status, options.stack);
  result(Boolean(options.json), { ...status, status: judged.level, notes: judged.notes }, () =>
    renderStatus(status, judged, { access, wide: Boolean(options.wide) }),
  );
  return judged.level;
}

/** What no fleet runs on is known by its outputs, and asked at its endpoint. */
async function onceInCloud(
  { stack, json }: Options,
  outputs: Readonly<Record<string, unknown>>,
): Promise<"ok" | "degraded" | "down"> {
  const status = await lookAtCloud(stack, outputs);
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
