import { DRAIN, type FleetStatus } from "../gateway/contract.ts";
import { CHECK_TURN, shardServes, updateFault } from "../gateway/readiness.ts";
import { ApiError, FleetApi } from "./api.ts";
import { drainInVain, type Emptied } from "./emptied.ts";
import { readFleet } from "./files.ts";
import type { Operation } from "./handler.ts";
import type { NodeLauncher } from "./launcher.ts";
import { seeAlso } from "./see-also.ts";
import { waitFor } from "./wait.ts";

/** How long a planned stop may take: turns, then sync and release, then the processes' own end. */
export const STOP_BUDGET_MS = DRAIN.termTurnsMs + DRAIN.termReleaseMs + 10_000;

/**
 * Time for a node to come up, and more for each shard: boots on a small machine go one by one. Generous,
 * because what cannot come true (a node that ended, a shard that gave up) ends the wait at once: on a
 * machine with ten times more work than cores one boot took two minutes.
 */
const READY_MS = 300_000;
const READY_PER_SHARD_MS = 60_000;
/** To bring one shard to another OpenClaw: turns that run end first. */
const UPDATE_PER_SHARD_MS = DRAIN.giveUpMs + READY_PER_SHARD_MS;
/** The first turn of a fresh gateway takes seconds; a model may take more. */
const FIRST_TURN_MS = 120_000;

/**
 * Waits until a node serves: its router is ready, it is active, and every shard of the fleet is
 * served by somebody. Throws as soon as that cannot come true any more, with the reason.
 */
export async function untilServing(
  launcher: NodeLauncher,
  dataDir: string,
  id: string,
  op: Operation,
): Promise<void> {
  const { signal } = op;
  const api = FleetApi.of(dataDir);
  const { fleet, shards: planned = [] } = readFleet(dataDir) ?? {};
  const shards = planned.map((s) => s.id);
  let last = "its router does not answer";
  const done = await waitFor(
    async () => {
      if (!launcher.running(dataDir, id))
        throw new Error(`node ${id} ended. ${tail(launcher, dataDir, id)}`);
      const next = await missing(api, id, { fleet, shards }, signal);
      if (next !== null && next !== last) op.say(`waiting: ${next}`);
      last = next ?? last;
      return next === null ? true : null;
    },
    {
      what: `waiting for node ${id}`,
      deadlineMs: READY_MS + READY_PER_SHARD_MS * shards.length,
      signal,
    },
  );
  if (!done)
    throw new Error(`node ${id} did not serve in time: ${last}. ${tail(launcher, dataDir, id)}`);
}

/** What is missing until the node serves; null when nothing is. Throws when a shard gave up. */
async function missing(
  api: FleetApi,
  id: string,
  { fleet, shards }: { readonly fleet?: string; readonly shards: readonly string[] },
  signal: AbortSignal,
): Promise<string | null> {
  const status = await api.status(signal);
  if (!status) return "no router of the fleet answers";
  const me = status.nodes.find((node) => node.id === id);
  if (!me || me.state === "lost") return `node ${id} has not joined`;
  if (!(await api.nodeAnswers(me.address, id, signal)))
    return `node ${id} does not answer its peers`;
  const open: string[] = [];
  for (const shard of shards) {
    const seen = status.shards.find((s) => s.id === shard);
    if (seen?.state === "failed") {
      throw new Error(
        `shard ${shard} cannot run: ${seen.reason ?? "no reason given"}. ${seeAlso(fleet, `logs ${shard}`)}`,
      );
    }
    if (!seen || !shardServes(seen)) open.push(`${shard} is ${seen?.state ?? "unknown"}`);
  }
  return open.length > 0 ? open.join(", ") : null;
}

/**
 * Waits until every shard runs the OpenClaw that the nodes bring, once all of them have it: they see to it by
 * themselves, one shard at a time. Throws when one went back to what it ran, with the reason.
 */
export async function untilUpdated(dataDir: string, op: Operation): Promise<void> {
  const { signal } = op;
  const api = FleetApi.of(dataDir);
  const shards = readFleet(dataDir)?.shards.length ?? 0;
  let waiting = "";
  const done = await waitFor(
    async () => {
      const status = await api.status(signal);
      if (!status) return null;
      const { update } = status;
      // A node that is still to be changed, or whose change failed: its own turn waits, or told of it.
      if (!update || mixed(status)) return true;
      const fault = updateFault(status);
      if (fault !== null) throw new Error(fault);
      const now = `updating OpenClaw to ${update.to}: ${update.waiting.join(", ")}`;
      if (now !== waiting) op.say(now);
      waiting = now;
      return null;
    },
    {
      what: "waiting for the new OpenClaw",
      deadlineMs: READY_MS + UPDATE_PER_SHARD_MS * shards,
      signal,
    },
  );
  if (!done)
    throw new Error(`${waiting} takes too long. ${seeAlso(fleetIn(dataDir), "status", "history")}`);
}

const fleetIn = (dataDir: string): string | undefined => readFleet(dataDir)?.fleet;

function mixed({ nodes, update }: FleetStatus): boolean {
  return nodes.some(({ version }) => version.split("+")[0] !== update?.to);
}

function tail(launcher: NodeLauncher, dataDir: string, id: string): string {
  const lines = launcher.logTail(dataDir, id);
  return lines.length > 0 ? `Last lines of its log:\n${lines.join("\n")}` : "It wrote no log.";
}

/**
 * One real chat turn through the front door: the deployment is done when somebody got an answer.
 * @param insistMs asks again for that long: a gateway that reloads its settings may cut a turn off. @default once
 */
export async function untilAnswered(dataDir: string, op: Operation, insistMs = 0): Promise<void> {
  op.say("asking for a first answer");
  const { message, session } = CHECK_TURN;
  let fault = "";
  const answered = await waitFor(
    async () => {
      try {
        await FleetApi.of(dataDir).chat(message, session, FIRST_TURN_MS, op.signal);
        return true;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        fault = error.message;
        return null;
      }
    },
    {
      what: "asking for a first answer",
      deadlineMs: insistMs,
      signal: op.signal,
      everyMs: 2_000,
    },
  );
  if (answered) return;
  throw new Error(
    `all shards serve, but a chat got no answer: ${fault}. ` +
      `Check openclaw-fleet:models and its keys. ${seeAlso(fleetIn(dataDir), "logs")}`,
  );
}

/** Moves every shard off a node and waits until it is empty. */
export async function drainNode(dataDir: string, id: string, op: Operation): Promise<Emptied> {
  const { signal } = op;
  const api = FleetApi.of(dataDir);
  const status = await api.status(signal);
  const inVain = drainInVain(status, id);
  if (inVain) return inVain;
  const mine = status?.shards.filter((s) => s.owner === id).map((s) => s.id) ?? [];
  // It may answer at once or when the node is empty: what counts is what the fleet then shows.
  const order: { error: ApiError | null } = { error: null };
  const asked = api.drain(id, signal).catch((error: unknown) => {
    if (error instanceof ApiError && error.status >= 400) order.error = error;
  });
  const empty = await waitFor(
    async () => {
      if (order.error) throw order.error;
      const now = await api.status(signal);
      const node = now?.nodes.find((n) => n.id === id);
      if (!now || !node) return null;
      const here = now.shards.filter((s) => s.owner === id).map((s) => s.id);
      if (here.length > 0) op.say(`draining ${here.join(", ")}`);
      // Somebody else has each of its shards, or the shard cannot run anywhere.
      const away = now.shards
        .filter((s) => mine.includes(s.id) || s.owner === id)
        .every((s) => s.state === "failed" || (s.owner !== null && s.owner !== id));
      return node.state === "maintenance" && away ? true : null;
    },
    { what: `draining node ${id}`, deadlineMs: DRAIN.giveUpMs + STOP_BUDGET_MS, signal },
  );
  await asked;
  if (!empty)
    throw new Error(`node ${id} did not get empty. ${seeAlso(fleetIn(dataDir), "status")}`);
  return "emptied";
}

/** Lets a node take shards again. */
export async function resumeNode(dataDir: string, id: string, op: Operation): Promise<void> {
  const api = FleetApi.of(dataDir);
  const status = await api.status(op.signal);
  if (status?.nodes.find((node) => node.id === id)?.state === "maintenance") {
    await api.resume(id, op.signal);
  }
}
