import type { Command } from "commander";
import type { FleetStatus } from "../../gateway/contract.ts";
import { callJson } from "../lib/api.ts";
import { lookAtCloud, renderCloudStatus } from "../lib/cloud-status.ts";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { accessAt, type FleetAccess } from "../lib/fleet.ts";
import { findFleet } from "../lib/fleet-place.ts";
import { withJson, withStack } from "../lib/options.ts";
import { labelsOf, renderStatus } from "../lib/status-text.ts";
import { result } from "../lib/terminal.ts";
import { verdict } from "../lib/verdict.ts";
import { rawSettings } from "../settings.ts";

interface Options {
  stack: string;
  json?: boolean;
  check?: boolean;
  watch?: boolean;
  wide?: boolean;
}

/** What one look found, and how it is shown. */
interface Seen {
  readonly level: "ok" | "degraded" | "down";
  readonly document: unknown;
  readonly text: () => string;
  /** False where nothing that runs answered: somebody may be about to change where it is. */
  readonly answered: boolean;
}

/** @throws CommandFailed when nobody answers, or not to this token. */
type Look = () => Promise<Seen>;

export const fleetStatus = (access: FleetAccess): Promise<FleetStatus> =>
  callJson<FleetStatus>(access, "/api/v1/fleet", { as: "admin" });

/** Finds out where the fleet is and as whom to ask: elsewhere than on this machine a run of Pulumi. */
async function find({ stack, wide = false }: Options): Promise<Look> {
  const place = await findFleet(stack, { showSecrets: true });
  if (place.at === "nowhere") return () => lookInCloud(stack, place.outputs);
  const access = accessAt(stack, place);
  const labels = labelsOf(rawSettings(stack));
  const labelled = Object.keys(labels).length > 0 ? { labels } : {};
  return async () => {
    const status = await fleetStatus(access);
    const judged = verdict(status, stack, access.target);
    return {
      level: judged.level,
      document: {
        ...status,
        ...labelled,
        target: access.target,
        preset: access.preset,
        status: judged.level,
        text: judged.text,
        notes: judged.notes,
      },
      text: () => renderStatus(status, judged, { access, wide, labels }),
      answered: true,
    };
  };
}

/** What no fleet runs on is known by its outputs, and asked at its endpoint. */
async function lookInCloud(
  stack: string,
  outputs: Readonly<Record<string, unknown>>,
): Promise<Seen> {
  const status = await lookAtCloud(stack, outputs);
  return {
    level: status.status,
    document: status,
    text: () => renderCloudStatus(status),
    answered: status.answer === "ok",
  };
}

const show = (json: boolean | undefined, { document, text }: Seen): void =>
  result(Boolean(json), document, text);

/**
 * Redraws until Ctrl-C; a fleet that stops answering is shown as such and does not end it. Where the fleet
 * is gets looked up once, and again after a look that found nothing: it may have moved, or have other tokens.
 */
async function watch(options: Options): Promise<never> {
  const clear = process.stdout.isTTY ? "\x1b[H\x1b[2J" : "";
  let found: Look | null = null;
  for (;;) {
    const look: Look | null = found;
    found = null;
    try {
      const known: Look = look ?? (await find(options));
      const seen = await known();
      if (seen.answered) found = known;
      process.stdout.write(clear);
      show(false, seen);
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      process.stdout.write(`${clear}${error.message}: ${error.why ?? ""}\n`);
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
      if (options.watch && options.json) {
        throw new UsageError(
          "--json prints one document, and --watch never ends: take one of them",
        );
      }
      if (options.watch) await watch(options);
      const look = await find(options);
      const seen = await look();
      show(options.json, seen);
      if (options.check && seen.level !== "ok") process.exitCode = 1;
    });
}
