import * as pulumi from "@pulumi/pulumi";
import type { Release } from "../gateway/config.ts";
import { reachable } from "../plugin/api.ts";
import { Fleet, Node } from "../plugin/resources.ts";
import { LOCAL_PORT_BASE } from "./capacity.ts";
import { localDataDir } from "./data-dir.ts";
import { fleetLayout, type Seal } from "./fleet-layout.ts";
import type { StackOutputs } from "./outputs.ts";
import { type FleetPlan, nodeIds } from "./presets.ts";
import type { Settings } from "./settings.ts";

export interface LocalArgs {
  /** The stack's name; it names the fleet. */
  readonly stack: string;
  readonly settings: Settings;
  readonly plan: FleetPlan;
  readonly release: Release;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly seal: Seal;
}

/** Ports from one node's base to the next: room for ten gateways before bases overlap. */
const NODE_PORTS = 1_200;
/** Bases before they repeat: a node takes free spans, so sharing a base is slower, not wrong. */
const PORT_BASES = 11;

/** A fleet of processes on this machine. */
export function deployLocal({
  stack,
  settings,
  plan,
  release,
  env,
  seal,
}: LocalArgs): StackOutputs {
  const dataDir = localDataDir(stack, env);
  const prod = settings.environment === "prod";
  const fleet = new Fleet(
    "fleet",
    {
      dataDir,
      ...fleetLayout({ stack, settings, plan, seal }),
      keepData: settings.keepData ?? prod,
      memoryMiB: plan.machine.memoryMiB,
      diskMiB: plan.machine.diskMiB,
      tokens: seal(settings.tokens, ["tokens"]),
    },
    { protect: prod },
  );
  const all = nodeIds(PORT_BASES * 100);
  for (const id of plan.nodes) {
    new Node(
      `node-${id}`,
      {
        dataDir,
        node: id,
        release,
        protected: prod,
        gatewayPortBase: LOCAL_PORT_BASE + (all.indexOf(id) % PORT_BASES) * NODE_PORTS,
        ...(settings.sizes.nodeCores === undefined ? {} : { cores: settings.sizes.nodeCores }),
      },
      { dependsOn: fleet },
    );
  }
  return {
    endpoint: `http://${reachable(settings.host)}:${settings.port}`,
    token: pulumi.secret(fleet.clientTokens.apply((tokens) => tokens?.[0] ?? "")),
    adminToken: pulumi.secret(fleet.adminToken),
    target: settings.target,
    preset: plan.preset,
    nodes: plan.nodes,
    shards: plan.shards.map((s) => s.id),
  };
}
