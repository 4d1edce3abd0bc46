import { indexHistory, type RequestRecord } from "../drill/checks/index.ts";
import { STEADY } from "../drill/clients/load.ts";
import { waitFor } from "../drill/conditions.ts";
import { waitWhole } from "../drill/engine.ts";
import { quantile } from "../drill/summary.ts";
import { alone, coldBoots } from "./alone.ts";
import { type BenchFleet, benchFleet, LAWS } from "./fleet.ts";
import {
  type BenchContext,
  type Part,
  type PartResult,
  row,
  seconds,
  some,
  whenStopped,
} from "./part.ts";

/** A drain gives up waiting for turns after 10 min; then the gateways still have to stop. */
const EMPTY_MS = 720_000;
/** docs/capacity.md: the longest wait is to be OpenClaw's boot and this. */
const AIM_OVER_BOOT_MS = 2_000;

/** Drains a node, starts its runtime anew and gives it work again; returns how long the drain took, ms. */
async function update(stage: BenchFleet, node: string, n: number): Promise<number> {
  const { fleet, history, context } = stage;
  const shards = (await fleet.status()).shards.filter(({ owner }) => owner === node);
  const put = (phase: "do" | "heal" | "recovered", detail: string) =>
    history.add({
      type: "fault",
      n,
      name: "drain-node",
      kind: "planned",
      phase,
      target: node,
      shards: shards.map(({ id }) => id),
      detail,
    });
  const begun = history.now();
  put("do", "maintenance on");
  await fleet.admin("/api/v1/fleet/drain", { node });
  await waitFor(`node ${node} to be empty`, EMPTY_MS, context.signal, async () =>
    (await fleet.status()).shards.every(({ owner }) => owner !== node),
  );
  const took = history.now() - begun;
  await fleet.stopNode(node);
  await fleet.startNode(node);
  await fleet.admin("/api/v1/fleet/resume", { node });
  put("heal", "updated");
  await waitWhole(context);
  put("recovered", "");
  return took;
}

/** Beyond the model's own time, of those that were answered, ms. */
const waits = (requests: readonly RequestRecord[]): number[] =>
  requests.flatMap(({ invoked, outcome }) =>
    outcome?.type === "answered" ? [outcome.t - invoked.t - invoked.turnMs] : [],
  );

/** A planned end of a WebSocket: OpenClaw's clients connect anew, and the turn had not begun. */
const toBeSentAgain = ({ invoked, outcome }: RequestRecord): boolean =>
  invoked.kind === "ws" && outcome?.type === "failed" && outcome.code === "closed_1012";

function failures(requests: readonly RequestRecord[]): string {
  const codes = requests.flatMap(({ invoked, outcome }) => {
    if (outcome?.type === "answered") return [];
    return [`${invoked.kind} ${outcome?.code ?? "without an end"}`];
  });
  const groups = Map.groupBy(codes, (code) => code);
  return [...groups].map(([code, all]) => `${all.length} × ${code}`).join(", ");
}

async function run(bench: BenchContext): Promise<PartResult> {
  const boots = await coldBoots(bench, bench.quick ? 1 : 3);
  const shardCount = bench.quick ? 1 : 2;
  bench.say(`starting 2 nodes with ${some(shardCount, "shard")}`);
  await using stage = await benchFleet(bench, { nodes: 2, shards: shardCount });
  const { fleet, history, load } = stage;
  const longestTurnMs = bench.quick ? 5_000 : 60_000;
  const drains: number[] = [];
  // A turn ran on each shard already; from here on everything counts.
  const from = history.now();
  load.start({ ...STEADY, longestTurnMs });
  for (const [i, node] of fleet.nodes.entries()) {
    bench.say(`updating ${node}`);
    const took = await update(stage, node, i + 1);
    bench.say(`${node} was empty after ${seconds(took)}, and is back`);
    drains.push(took);
  }
  bench.say("no new turns; waiting for the running ones");
  await Promise.race([load.finish(), whenStopped(bench.signal)]);
  const all = indexHistory(history.events).requests;
  const before = waits(all.filter(({ invoked }) => invoked.t < from));
  const requests = all.filter(({ invoked }) => invoked.t >= from);
  const unanswered = requests.filter(({ outcome }) => outcome?.type !== "answered");
  const refused = unanswered.filter(toBeSentAgain);
  const failed = unanswered.filter((request) => !toBeSentAgain(request));
  const during = waits(requests);
  const longest = quantile(during, 1) ?? 0;
  const aim = boots.max + AIM_OVER_BOOT_MS;
  return {
    rows: [
      row(
        `failed requests of ${requests.length}`,
        failed.length === 0 ? "0" : `${failed.length} (${failures(failed)})`,
        "",
        { must: { text: "0", met: failed.length === 0 } },
      ),
      row(
        "WebSocket turns closed with 1012 before they ran, to be sent again",
        `${refused.length}`,
      ),
      row("longest wait beyond the model's own time", seconds(longest), alone(boots), {
        aim: { text: "boot + 2 s", met: longest <= aim },
      }),
      row(
        "wait of half the requests, of 99 in 100",
        `≤ ${seconds(quantile(during, 0.5))}, ≤ ${seconds(quantile(during, 0.99))}`,
        `${seconds(quantile(before, 0.5))} before the load, one at a time`,
      ),
      row("from drain to empty, per node", drains.map((ms) => seconds(ms)).join(", ")),
    ],
    laws: LAWS,
    broken: stage.brokenLaws(),
    notes: [
      `Each of 2 nodes with ${some(shardCount, "shard")} in all is drained, stopped, started and resumed, one after another.`,
      `Load: 4 chats, 2 streams, 2 clients of /v1 and a WebSocket, turns of 0.2 to ${longestTurnMs / 1000} s, one at a time each.`,
    ],
  };
}

export const rolling: Part = { name: "rolling", title: "Rolling update under load", run };
