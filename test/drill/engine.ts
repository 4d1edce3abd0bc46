import { pause } from "./clients/ws.ts";
import { Overdue, waitFor } from "./conditions.ts";
import { factsOf } from "./fault-names.ts";
import type { EventOf, HistoryEntry } from "./history.ts";
import { holdOf, type Planned } from "./schedule.ts";
import type { Applied, FaultContext } from "./world.ts";

/** A shard that answered nobody for this long after a fault is called broken. */
const PROBE_MS = 300_000;
const PROBE_AGAIN_MS = 1_000;

export interface FaultResult {
  ok: boolean;
  /** From the fault to the first answer on the last of its shards, ms; null when none came. */
  recoveryMs: number | null;
  text: string;
}

/**
 * Every shard serving, no node lost, the store there: the same words as `status` uses. They are believed of a shard only
 * when its gateway can be seen: a node that lost its store knows the others as they were before.
 */
export async function whole(context: FaultContext): Promise<string | null> {
  const status = await context.world.status();
  const shard = status.shards.find((one) => one.state !== "serving" && one.state !== "draining");
  if (shard) return `${shard.id} is ${shard.state}`;
  const empty = status.shards.find(({ id }) => context.watch.gatewayOf(id) === null);
  if (empty) return `${empty.id} is called ${empty.state}, and has no gateway`;
  const node = status.nodes.find((one) => one.state !== "active");
  if (node) return `node ${node.id} is ${node.state}`;
  if (status.nodes.length < context.world.nodes.length) return "a node is missing";
  return status.store.ok ? null : "the lease store does not answer";
}

export async function waitWhole(context: FaultContext, withinMs = context.wholeMs): Promise<void> {
  let why = "";
  try {
    await waitFor("the fleet to be whole", withinMs, context.signal, async () => {
      const fault = await whole(context);
      if (fault !== null) why = fault;
      return fault === null;
    });
  } catch (error) {
    if (!(error instanceof Overdue)) throw error;
    throw new Overdue(why === "" ? error.message : `${error.message}: ${why}`);
  }
}

/**
 * Waits until the fleet is whole, does one fault, heals it, waits until the fleet is whole again and each shard it hit has answered
 * as it is then, and writes all of that into the history. Never throws for what the fleet did; only when it is aborted.
 */
export async function runFault(context: FaultContext, planned: Planned): Promise<FaultResult> {
  const { name } = planned;
  const { kind, title } = factsOf(name);
  const put = (
    phase: EventOf<"fault">["phase"],
    detail: string,
    applied?: Pick<Applied, "target" | "shards">,
    t?: number,
  ) => {
    const { target = "nothing", shards = [] } = applied ?? {};
    const entry: HistoryEntry = {
      type: "fault",
      n: planned.n,
      name,
      kind,
      phase,
      target,
      shards,
      detail,
    };
    return context.history.add(entry, t);
  };

  const before = context.history.now();
  // What the fault causes may be written down before `applyFault` returns; its own time is earlier.
  let happened = before;
  const mark = () => {
    happened = context.history.now();
  };
  let applied: Applied;
  try {
    await waitWhole(context);
    const status = await context.world.status();
    mark();
    applied = await context.world.apply({ ...context, mark }, planned, status);
  } catch (error) {
    context.signal.throwIfAborted();
    const text = `it could not be done: ${(error as Error).message}`;
    put("failed", text);
    return { ok: false, recoveryMs: null, text: `${title}: ${text}` };
  }
  const begun = put("do", applied.detail, applied, happened);
  // An error that is allowed is counted by its check; the next answer is what is waited for here.
  const probe = async (shard: string) => {
    const since = context.history.now();
    while (!context.signal.aborted && context.history.now() - since < PROBE_MS) {
      const answer = await context.send(context.sessionOf(shard), 0);
      if (answer !== null) {
        return { ms: context.history.now() - begun.t, gateway: context.watch.gatewayOf(shard) };
      }
      await pause(PROBE_AGAIN_MS, context.signal).catch(() => {});
    }
    return null;
  };
  const probes = applied.shards.map(async (shard) => ({ shard, answer: await probe(shard) }));
  try {
    await pause(holdOf(planned), context.signal);
    put("heal", await applied.heal(), applied);
    await waitWhole(context);
    const times: (number | null)[] = [];
    for (const { shard, answer } of await Promise.all(probes)) {
      // The shard had answered before the fault came to it: its next answer is another gateway's.
      const early = answer !== null && answer.gateway !== context.watch.gatewayOf(shard);
      times.push(early ? ((await probe(shard))?.ms ?? null) : (answer?.ms ?? null));
    }
    const silent = applied.shards.filter((_, i) => times[i] === null);
    if (silent.length > 0) throw new Overdue(`${silent.join(", ")} did not answer`);
    put("recovered", "", applied);
    const recoveryMs = Math.max(0, ...times.map((ms) => ms ?? 0));
    const text = `${title}: ${applied.target}, answered after ${(recoveryMs / 1000).toFixed(1)} s`;
    return { ok: true, recoveryMs, text };
  } catch (error) {
    if (context.signal.aborted) {
      await applied.heal().catch(() => {});
      throw context.signal.reason;
    }
    const text = (error as Error).message;
    put("failed", text, applied);
    const after = ((context.history.now() - before) / 1000).toFixed(0);
    return { ok: false, recoveryMs: null, text: `${title}: ${text} (after ${after} s)` };
  }
}
