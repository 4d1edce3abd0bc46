import { runFault, waitWhole } from "../drill/engine.ts";
import { FAULTS } from "../drill/fault-names.ts";
import { quantile } from "../drill/summary.ts";
import { coldBoots } from "./alone.ts";
import { benchFleet } from "./fleet.ts";
import { type BenchContext, type Part, type PartResult, type Row, row, seconds } from "./part.ts";

const TRIALS = 20;
const QUICK_TRIALS = 2;
const MEASURED = ["kill-gateway", "kill-node"] as const;

async function run(bench: BenchContext): Promise<PartResult> {
  const trials = bench.quick ? QUICK_TRIALS : TRIALS;
  bench.say(`OpenClaw alone, ${trials} cold boots`);
  const boots = await coldBoots(await bench.release(), trials);
  const bootMedian = quantile(boots, 0.5);
  const reference = `OpenClaw alone boots in ${seconds(bootMedian)} (max ${seconds(quantile(boots, 1))})`;
  const rows: Row[] = [];
  const broken: string[] = [];
  // One shard: with more, boots on this machine would wait for one another, which is another number.
  await using stage = await benchFleet(bench, { nodes: 2, shards: 1 });
  for (const name of MEASURED) {
    const times: number[] = [];
    for (let n = 1; n <= trials; n++) {
      const planned = { n, name, victim: 0, length: 0, restMs: 0 };
      const result = await runFault(stage.context, planned);
      bench.say(`${n} of ${trials}: ${result.text}`);
      if (result.recoveryMs === null) broken.push(result.text);
      else times.push(result.recoveryMs);
      await waitWhole(stage.context);
    }
    const { title, mustMs } = FAULTS[name];
    const max = quantile(times, 1);
    rows.push(
      row(
        `${title}, next answer: median, max of ${times.length}`,
        `${seconds(quantile(times, 0.5))}, ${seconds(max)}`,
        reference,
        { text: `≤ ${mustMs / 1000} s`, met: max !== null && max <= mustMs },
      ),
    );
  }
  return {
    rows,
    broken,
    notes: [
      "From the SIGKILL to the answer of a request that was sent right after it and held by the router.",
      "The reference is from `spawn` to a good `/startupz`, on a state that was used before, without a turn.",
    ],
  };
}

export const recovery: Part = {
  name: "recovery",
  title: "Recovery after a kill",
  run,
};
