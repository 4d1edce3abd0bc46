import { pause } from "../drill/clients/ws.ts";
import { waitWhole } from "../drill/engine.ts";
import { FAULTS } from "../drill/fault-names.ts";
import { quantile } from "../drill/summary.ts";
import { alone, coldBoots } from "./alone.ts";
import { type BenchFleet, benchFleet, LAWS } from "./fleet.ts";
import { type BenchContext, type Part, type PartResult, type Row, row, seconds } from "./part.ts";

const REFERENCE_BOOTS = 6;
/**
 * In turn, and in this order: a node's death brings a new epoch, in which the next killed gateway is the
 * first to crash. Twenty crashes in one epoch would measure the pauses between restarts.
 */
const KILLED = ["kill-gateway", "kill-node"] as const;
type Killed = (typeof KILLED)[number];

/** docs/capacity.md: a killed gateway's shard answers within OpenClaw's own boot and this. */
const AIM_OVER_BOOT_MS = 1_000;
const AIM_NODE_MS = 15_000;
/** A shard that answers nobody for this long is called lost. */
const LOST_MS = 300_000;
/** Between two trials: a node that was started again has its own start behind it, ms. */
const REST_MS = 2_000;
const ASK_AGAIN_MS = 500;

/**
 * Kills, and returns the time from the signal to the answer of a request that is sent at once, ms. A
 * killed node stays away until another one has answered for it.
 * @throws when its shards did not answer, or the fleet was not whole again
 */
async function trial(stage: BenchFleet, name: Killed, n: number): Promise<number> {
  const { context, fleet, history } = stage;
  const planned = { n, name, victim: 0, length: 0, restMs: 0 };
  const status = await fleet.status();
  let killedAt = history.now();
  const mark = () => {
    killedAt = history.now();
  };
  const { target, shards, detail, heal } = await context.world.apply(
    { ...context, mark },
    planned,
    status,
  );
  const put = (phase: "do" | "heal" | "recovered" | "failed", what: string, t?: number) =>
    history.add(
      { type: "fault", n, name, kind: FAULTS[name].kind, phase, target, shards, detail: what },
      t,
    );
  put("do", detail, killedAt);
  try {
    await Promise.all(shards.map((shard) => answered(stage, shard, killedAt)));
    const took = history.now() - killedAt;
    put("heal", await heal());
    await waitWhole(context);
    put("recovered", "");
    return took;
  } catch (error) {
    put("failed", (error as Error).message);
    throw error;
  }
}

/** An error that is allowed is counted by its law; what is timed is the next answer. */
async function answered({ context, history }: BenchFleet, shard: string, from: number) {
  while (history.now() - from < LOST_MS) {
    context.signal.throwIfAborted();
    if ((await context.send(context.sessionOf(shard), 0)) !== null) return;
    await pause(ASK_AGAIN_MS, context.signal);
  }
  throw new Error(`${shard} did not answer for ${LOST_MS / 1000} s`);
}

async function trials(stage: BenchFleet, bench: BenchContext): Promise<Record<Killed, number[]>> {
  const times: Record<Killed, number[]> = { "kill-gateway": [], "kill-node": [] };
  const count = bench.trials;
  for (let n = 0; n < count * KILLED.length; n++) {
    const name = KILLED[n % KILLED.length] as Killed;
    const took = await trial(stage, name, n + 1);
    times[name].push(took);
    const of = `${times[name].length} of ${count}`;
    bench.say(`${of}: ${FAULTS[name].title}, answered after ${seconds(took)}`);
    await pause(REST_MS, bench.signal);
  }
  return times;
}

async function run(bench: BenchContext): Promise<PartResult> {
  const boots = await coldBoots(bench, Math.min(bench.trials, REFERENCE_BOOTS));
  bench.say("starting 2 nodes with 1 shard");
  await using stage = await benchFleet(bench, { nodes: 2, shards: 1 });
  const times = await trials(stage, bench);
  const rows: Row[] = KILLED.map((name) => {
    const median = quantile(times[name], 0.5) ?? 0;
    const max = quantile(times[name], 1) ?? 0;
    const { title, mustMs } = FAULTS[name];
    return row(
      `${title}, next answer`,
      `median ${seconds(median)}, max ${seconds(max)} of ${times[name].length}`,
      alone(boots),
      {
        must: { text: `≤ ${mustMs / 1000} s`, met: max <= mustMs },
        aim:
          name === "kill-node"
            ? { text: `≤ ${AIM_NODE_MS / 1000} s`, met: max <= AIM_NODE_MS }
            : {
                text: "boot + 1 s",
                met:
                  median <= boots.median + AIM_OVER_BOOT_MS && max <= boots.max + AIM_OVER_BOOT_MS,
              },
      },
    );
  });
  return {
    rows,
    laws: LAWS,
    broken: stage.brokenLaws(),
    notes: [
      "From the SIGKILL to the answer of a chat that was sent right after it, turn included.",
      "A killed node is its keeper, supervisor, router and gateway at once; it held the public port too.",
      "One shard: with more, their boots wait for one another on a small machine.",
      "OpenClaw alone: from its start to a good `/startupz`, and on to the answer of its first turn, on used state.",
    ],
  };
}

export const recovery: Part = {
  name: "recovery",
  title: "Recovery after a kill",
  run,
};
