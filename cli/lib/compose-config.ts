import { type ComposeNeed, secretFile } from "../../components/compose/plan.ts";
import type { FleetConfig } from "../../gateway/config.ts";
import { layOutFleet } from "../../plugin/fleet-inputs.ts";
import { fleetLayout } from "../../stacks/fleet-layout.ts";
import { markSecrets } from "../../stacks/hosts/marks.ts";
import { type FleetPlan, planFleet } from "../../stacks/presets.ts";
import type { Settings } from "../../stacks/settings.ts";
import { asCommandFailed, type SecretSettings } from "./stack-settings.ts";

/** What a container is made from, as far as settings say, and the secrets whose values are known here. */
export interface ComposeInput {
  readonly need: Omit<ComposeNeed, "releaseId" | "archives">;
  readonly known: Readonly<Record<string, string>>;
}

/** Reads a stack's settings as those of one container. Throws CommandFailed. */
export function composeNeed(stack: string, from: SecretSettings): ComposeInput {
  const { settings, sizing } = sizeOne(from.settings);
  const known: Record<string, string> = {};
  const mark = <T>(value: T, path: readonly PropertyKey[]): T => {
    const marked = markSecrets(value, from.isSecret, path);
    for (const [name, secret] of Object.entries(marked.secrets)) {
      if (!from.isSealed(secret)) known[secretFile(name)] = secret;
    }
    return marked.value;
  };
  const layout = fleetLayout({ stack, settings, plan: sizing, seal: mark });
  const tokens = mark(settings.tokens, ["tokens"]);
  const config = layOutFleet(layout as Parameters<typeof layOutFleet>[0], {
    client: tokens.client ?? ["{{secret token.client}}"],
    admin: tokens.admin ?? "{{secret token.admin}}",
    peer: "{{secret token.peer}}",
  }) as FleetConfig;
  return {
    need: {
      fleet: stack,
      config,
      memoryMiB: sizing.machine.memoryMiB,
      limitMiB: limit(sizing),
      cores: sizing.machine.cores,
      publish: { host: settings.host, port: settings.port },
    },
    known,
  };
}

/**
 * A container is one node: another in the same machine would guard against nothing that a restart of the
 * first does not mend.
 */
function sizeOne(given: Settings): { settings: Settings; sizing: FleetPlan } {
  const settings = { ...given, target: "local" as const, nodes: 1 };
  try {
    return { settings, sizing: planFleet(settings) };
  } catch (error) {
    throw asCommandFailed(error);
  }
}

/** Share of a shard's recycle limit that it may grow beyond while it is drained for that. */
const RECYCLE_HEADROOM = 1.1;

/** Gateways are drained at their own limits; what the kernel kills at must lie above all of them. */
function limit({ machine, shards }: FleetPlan): number {
  const grown = shards.reduce(
    (sum, { memoryMiB, recycleMiB }) => sum + recycleMiB * RECYCLE_HEADROOM - memoryMiB,
    0,
  );
  return Math.ceil(machine.memoryMiB + grown);
}
