import type { Fault } from "../components/errors.ts";
import type { NodeId } from "../gateway/contract.ts";
import { type AgentToPlace, DEFAULT_AGENT } from "./placement.ts";
import type { SizingSettings } from "./presets.ts";

/** What cannot be in a wish for a size, besides the numbers themselves. */

/** Names of the machines that run shards; null where none are listed, and nodes are numbered. */
export function namedNodes({ target, hosts = [] }: SizingSettings): NodeId[] | null {
  if (target !== "hosts" || hosts.length === 0) return null;
  return hosts.filter(({ witness }) => !witness).map(({ name }) => name);
}

/** A list of machines is their number. */
export function checkCount(
  s: SizingSettings,
  named: readonly NodeId[] | null,
  faults: Fault[],
): void {
  if (!named) return;
  if (named.length === 0) {
    faults.push({
      setting: "hosts",
      problem: "has only witnesses, and nobody runs a shard",
      remedy: "Take witness: true away from one, or add a host",
    });
  } else if (s.nodes !== undefined && s.nodes !== named.length) {
    faults.push({
      setting: "nodes",
      problem: `is ${s.nodes}, and hosts lists ${named.length} that run shards`,
      remedy: "Leave nodes out: the list of hosts says it",
    });
  }
}

/** Agents that the shared shards cannot hold. */
export function checkAgents(
  agents: readonly AgentToPlace[],
  shared: number,
  faults: Fault[],
): void {
  agents.forEach((agent, i) => {
    const setting = `agents[${i}]`;
    if (agent.name === DEFAULT_AGENT && agent.placement === "dedicated") {
      faults.push({
        setting: `${setting}.placement`,
        problem: "is dedicated, but main is the default agent and lives on every shared shard",
        remedy: "Leave placement out, or give the agent another name",
      });
    } else if (
      agent.name === DEFAULT_AGENT &&
      agent.replicas !== undefined &&
      agent.replicas !== shared
    ) {
      faults.push({
        setting: `${setting}.replicas`,
        problem: `is ${agent.replicas}, but main has one on each of the ${shared} shared shards`,
        remedy: "Leave replicas out, or set shards",
      });
    } else if (agent.placement !== "dedicated" && (agent.replicas ?? 1) > shared) {
      faults.push({
        setting: `${setting}.replicas`,
        problem: `is ${agent.replicas}, more than the ${shared} shared shards`,
        remedy: `Lower it to ${shared}, raise shards to ${agent.replicas}, or set placement: dedicated`,
      });
    }
  });
}

/** Bindings of nodes that do not exist. */
export function checkBinding(
  binding: Readonly<Record<string, readonly string[]>>,
  nodes: readonly NodeId[],
  faults: Fault[],
): void {
  for (const node of Object.keys(binding).filter((id) => !nodes.includes(id))) {
    faults.push({
      setting: `channelBinding.${node}`,
      problem: `names no node: this fleet has ${nodes.join(", ")}`,
      remedy: "Write one of them, or raise nodes",
    });
  }
}
