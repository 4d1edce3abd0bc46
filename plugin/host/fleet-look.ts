import { type FleetStatus, SETTINGS_REFUSED } from "../../gateway/contract.ts";
import { openDoor } from "../../gateway/doors.ts";
import { readiness, updateFault } from "../../gateway/readiness.ts";
import { ask } from "./ask.ts";

/** A node answers from memory; what takes longer is on its way down or not there. */
const LOOK_MS = 5_000;

/** A fleet that is to serve. */
export interface ServingFleet {
  /** Where people reach it. */
  readonly endpoint: string;
  /** Where else, when no connection is made there. */
  readonly otherFronts: readonly string[];
  /** The fleet's own authority, PEM; empty: what this machine trusts is enough. */
  readonly caCertificate: string;
  readonly adminToken: string;
  /** Ids of the nodes that have to be there. */
  readonly nodes: readonly string[];
  /** Ids of the shards that have to be served. */
  readonly shards: readonly string[];
}

/** What one look at a fleet found. */
export interface FleetLook {
  /** What is missing until the fleet serves; null: nothing. */
  readonly missing: string | null;
  /** Nodes to look at. */
  readonly nodes: readonly string[];
  /** It will not come true by waiting. */
  readonly hopeless: boolean;
  /** OpenClaw refuses the settings of a shard; hopeless as well, unless that is the word from before a change. */
  readonly refuses: boolean;
}

/** The front that takes a connection; the first one when none does, so that its fault is what is said. */
export const openFront = async ({ endpoint, otherFronts }: ServingFleet): Promise<string> =>
  (await openDoor([endpoint, ...otherFronts])) ?? endpoint;

/** One look at the fleet through its front door. Never throws for what the fleet does or does not. */
export async function lookAtFleet(inputs: ServingFleet, signal: AbortSignal): Promise<FleetLook> {
  const front = await openFront(inputs);
  const answer = await ask(new URL("/api/v1/fleet", front), {
    token: inputs.adminToken,
    ca: inputs.caCertificate,
    timeoutMs: LOOK_MS,
    signal,
  });
  const status = answer.body as FleetStatus | null;
  if (answer.fault !== "" || !status?.nodes) {
    const why = answer.fault || "what answers there is no fleet";
    // A wrong token stays wrong.
    const hopeless = answer.status === 401 || answer.status === 403;
    return {
      missing: `${front} does not answer (${why})`,
      nodes: inputs.nodes,
      hopeless,
      refuses: false,
    };
  }
  const absent = inputs.nodes.filter((id) => {
    const node = status.nodes.find((each) => each.id === id);
    return !node || node.state === "lost";
  });
  const known = new Set(status.shards.map(({ id }) => id));
  const unknown = inputs.shards.filter((id) => !known.has(id));
  const wanted = {
    ...status,
    // One that was taken away is seen a moment longer.
    nodes: status.nodes.filter(({ id }) => inputs.nodes.includes(id)),
    shards: status.shards.filter(({ id }) => inputs.shards.includes(id)),
  };
  const failed = wanted.shards.filter(({ state }) => state === "failed");
  const { ready, causes } = readiness(wanted);
  const { update } = status;
  const refused = updateFault(status);
  // One that is to get another OpenClaw is asked by that one.
  const refusing = wanted.shards.filter(
    ({ id, state, reason }) =>
      state !== "failed" &&
      reason?.startsWith(SETTINGS_REFUSED) &&
      (refused !== null || !update?.waiting.includes(id)),
  );
  const reasons = [
    ...absent
      .filter((id) => !status.nodes.some((n) => n.id === id))
      .map((id) => `node ${id} has not joined`),
    ...unknown.map((id) => `${id} is not known yet`),
    ...(ready ? [] : causes),
    ...failed.map(({ id, reason }) => `${id}: ${reason ?? "no reason given"}`),
    ...refusing.map(
      ({ id, reason }) =>
        `${id} runs with older settings, the new ones are refused: ${reason?.slice(SETTINGS_REFUSED.length)}`,
    ),
    ...(update && !refused
      ? [`OpenClaw ${update.to} is not on ${update.waiting.join(", ")} yet`]
      : []),
    ...(refused ? [refused] : []),
  ];
  return {
    missing: reasons.length > 0 ? reasons.join(", ") : null,
    nodes: absent,
    hopeless: failed.length > 0 || refused !== null,
    refuses: refusing.length > 0,
  };
}
