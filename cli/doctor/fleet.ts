import { LAG_SECONDS } from "../../components/watch/rules/shards.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { callJson } from "../lib/api.ts";
import { CommandFailed, NotUpYet } from "../lib/errors.ts";
import { type FleetAccess, fleetAccess } from "../lib/fleet.ts";
import { targetOf } from "../lib/fleet-place.ts";
import { verdict } from "../lib/verdict.ts";
import type { Check } from "./check.ts";

/**
 * How the stack's fleet is, by the same judgement as `status`.
 * @param find where it is, when somebody has looked already. @default {@link fleetAccess}
 */
export async function fleetChecks(
  stack: string,
  find: () => Promise<FleetAccess> = () => fleetAccess(stack),
): Promise<Check[]> {
  const id = "fleet";
  let status: FleetStatus;
  let target: string;
  let fix = `./fleet up --stack ${stack}`;
  try {
    const access = await find();
    target = access.target;
    // What cannot be reached was brought up once: its hosts are looked at as well.
    if (target === "hosts") fix = 'what is said of each host; docs/operations.md, "A host is lost"';
    status = await callJson<FleetStatus>(access, "/api/v1/fleet", { as: "admin" });
  } catch (error) {
    const why = reasonOf(error);
    const text =
      targetOf(stack) === "local"
        ? `stack ${stack} does not run here`
        : `stack ${stack} has no fleet that answers`;
    // Before a first `up` nothing is wrong yet; afterwards people ask, and get no answer.
    return [{ id, state: error instanceof NotUpYet ? "warn" : "fail", text, why, fix }];
  }
  return [
    fleetCheckOf(status, stack, target),
    storeCheckOf(status),
    ...replicaChecksOf(status, stack),
    ...channelChecksOf(status, stack),
  ];
}

/** Whether somebody says who owns what, and how many of those who vote may answer. */
export function storeCheckOf({ store: { kind, ok, voters } }: FleetStatus): Check {
  const id = "store";
  const there = voters
    ? `${kind}, ${voters.total - voters.lost} of ${voters.total} members on hosts that live`
    : kind;
  if (ok && !voters?.lost) return { id, state: "ok", text: there };
  const fix =
    kind === "etcd"
      ? "journalctl -u openclaw-fleet-etcd on those hosts"
      : 'docs/operations.md, "The lease store does not answer"';
  if (ok) return { id, state: "warn", text: there, fix };
  return { id, state: "fail", text: `${there}; it does not answer`, fix };
}

/** What would be lost with a node now; no check where shards have no replica. */
export function replicaChecksOf({ shards }: FleetStatus, stack: string): Check[] {
  const id = "replicas";
  const kept = shards.filter(({ replica }) => replica !== undefined);
  if (kept.length === 0) return [];
  const behind = kept.filter(
    ({ replica }) => replica?.unreplicated || (replica?.lagMs ?? 0) > LAG_SECONDS * 1_000,
  );
  if (behind.length === 0) {
    return [{ id, state: "ok", text: `${kept.length} of ${shards.length} shards, all current` }];
  }
  const told = behind.map(({ id, replica }) =>
    replica?.unreplicated
      ? `${id} has none`
      : `${id} is ${Math.round((replica?.lagMs ?? 0) / 1_000)} s behind`,
  );
  const fix = `./fleet logs ${behind[0]?.id} --stack ${stack}`;
  return [
    {
      id,
      state: "warn",
      text: told.join(", "),
      why: "what was said meanwhile is on one disk alone",
      fix,
    },
  ];
}

/** Which bots reach nobody, as their gateways say; no check where agents have no channels. */
export function channelChecksOf({ shards }: FleetStatus, stack: string): Check[] {
  const id = "channels";
  const told = shards.flatMap(({ id, agents, channels }) =>
    channels ? [{ shard: id, agents, ...channels }] : [],
  );
  const bots = told.reduce((sum, each) => sum + each.bots, 0);
  if (bots === 0) return [];
  const down = told.flatMap(({ shard, agents, down }) =>
    down.map((one) => ({ ...one, shard, agents })),
  );
  const [first] = down;
  const many = `${bots} ${bots === 1 ? "bot" : "bots"}`;
  if (!first) return [{ id, state: "ok", text: `${many}, none is down` }];
  const [channel, account = ""] = first.bot.split("/");
  const whose = first.agents.includes(account) ? ` of agent ${account}` : "";
  return [
    {
      id,
      state: "fail",
      text: `${down.length} of ${many} down: ${down.map(({ bot }) => bot).join(", ")}`,
      why: down.map(({ bot, why }) => `${bot}: ${why}`).join("\n"),
      fix: `mend channels.${channel}${whose} in Pulumi.${stack}.yaml, ./fleet up --stack ${stack}; what it said: ./fleet logs ${first.shard} --stack ${stack}`,
    },
  ];
}

/** First what failed, then why, where both are known. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const why = error instanceof CommandFailed ? error.why : undefined;
  return why ? `${error.message}: ${why}` : error.message;
}

export function fleetCheckOf(status: FleetStatus, stack: string, target?: string): Check {
  const id = "fleet";
  const { level, text, notes } = verdict(status, stack, target);
  if (level === "ok") return { id, state: "ok", text: `ok: ${text}` };
  return {
    id,
    state: "fail",
    text: `${level}: ${text}`,
    fix: notes.join("; ") || `./fleet status --stack ${stack}`,
  };
}
