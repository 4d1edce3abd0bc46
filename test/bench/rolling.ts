import { indexHistory } from "../drill/checks/index.ts";
import { STEADY } from "../drill/clients/load.ts";
import { waitFor } from "../drill/conditions.ts";
import { waitWhole } from "../drill/engine.ts";
import { quantile } from "../drill/summary.ts";
import { coldBoots } from "./alone.ts";
import { benchFleet } from "./fleet.ts";
import { type BenchContext, type Part, type PartResult, row, seconds } from "./part.ts";

/** A drain waits for turns of a minute, and tries again when new ones came. */
const EMPTY_MS = 600_000;

async function run(bench: BenchContext): Promise<PartResult> {
  const boots = await coldBoots(await bench.release(), bench.quick ? 1 : 3);
  const boot = quantile(boots, 0.5) ?? 0;
  await using stage = await benchFleet(bench, { nodes: 2, shards: bench.quick ? 1 : 2 });
  const { fleet, history, load, context } = stage;
  // A turn ran on each shard already; from here on everything counts.
  const from = history.now();
  load.start({ ...STEADY, longestTurnMs: bench.quick ? 5_000 : 60_000 });
  try {
    for (const node of fleet.nodes) {
      bench.say(`updating ${node}`);
      await fleet.admin("/api/v1/fleet/drain", { node });
      await waitFor(`node ${node} to be empty`, EMPTY_MS, bench.signal, async () =>
        (await fleet.status()).shards.every((shard) => shard.owner !== node),
      );
      await fleet.stopNode(node);
      await fleet.startNode(node);
      await fleet.admin("/api/v1/fleet/resume", { node });
      await waitWhole(context);
    }
  } finally {
    await load.finish();
  }
  const requests = indexHistory(history.events).requests.filter((r) => r.invoked.t >= from);
  const failed = requests.filter((r) => r.outcome?.type !== "answered");
  const added = requests.flatMap(({ invoked, outcome }) =>
    outcome?.type === "answered" ? [outcome.t - invoked.t - invoked.turnMs] : [],
  );
  const longest = quantile(added, 1);
  return {
    rows: [
      row(`failed requests of ${requests.length}`, String(failed.length), "", {
        text: "0",
        met: failed.length === 0,
      }),
      row(
        "longest wait beyond the model's own time",
        seconds(longest),
        `OpenClaw alone boots in ${seconds(boot)}`,
      ),
      row("wait of half the requests at most", seconds(quantile(added, 0.5))),
    ],
    broken: failed.map(({ invoked, outcome }) => {
      const how = outcome?.type === "failed" ? `${outcome.code}: ${outcome.detail}` : "no end";
      return `${invoked.kind} request ${invoked.marker} of ${invoked.client}: ${how}`;
    }),
    notes: [
      "Every node is drained, stopped, started and resumed, one after another, under chats, streams, /v1 calls and a WebSocket client.",
    ],
  };
}

export const rolling: Part = { name: "rolling", title: "Rolling update under load", run };
