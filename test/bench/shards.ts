import { setTimeout as sleep } from "node:timers/promises";
import { type BenchFleet, benchFleet } from "./fleet.ts";
import { type BenchContext, mib, type Part, type PartResult, type Row, row } from "./part.ts";
import { sum, type Usage, usageOf } from "./usage.ts";

const IDLE_MS = 20_000;
const WARM_TURNS = 10;
/** Turns at once per shard: enough to keep it busy, few enough that none waits long. */
const PARALLEL = 4;

/** Keeper, supervisor, router and all gateways below them. */
const wholeFleet = ({ fleet }: BenchFleet): Usage =>
  sum(fleet.nodes.flatMap((node) => usageOf(fleet.keeperPid(node) ?? 0)));

const gateways = ({ fleet, watch }: BenchFleet): Usage[] =>
  fleet.shards.flatMap((shard) => {
    const pid = watch.gatewayOf(shard);
    return pid === null ? [] : [usageOf(pid)];
  });

/** Sends turns over sessions of all shards; returns how many were answered. */
async function turns(stage: BenchFleet, count: number): Promise<number> {
  const sessions = stage.fleet.shards.flatMap((shard) =>
    Array.from({ length: PARALLEL }, (_, i) => `${stage.context.sessionOf(shard)}-${i}`),
  );
  let left = count;
  let answered = 0;
  await Promise.all(
    sessions.map(async (session) => {
      while (left-- > 0) if (await stage.load.probe(session)) answered++;
    }),
  );
  return answered;
}

async function run(bench: BenchContext): Promise<PartResult> {
  const rows: Row[] = [];
  const broken: string[] = [];
  let base: number | null = null;
  for (const shards of bench.quick ? [1] : [1, 2, 4]) {
    bench.say(`${shards} shards on one node`);
    await using stage = await benchFleet(bench, { nodes: 1, shards });
    await turns(stage, WARM_TURNS * shards);
    const before = wholeFleet(stage);
    await sleep(bench.quick ? IDLE_MS / 4 : IDLE_MS, undefined, { signal: bench.signal });
    const idle = wholeFleet(stage);
    const idleMs = bench.quick ? IDLE_MS / 4 : IDLE_MS;
    const idleShare = (100 * (idle.cpuSeconds - before.cpuSeconds)) / (idleMs / 1000) / shards;
    const wanted = (bench.quick ? 20 : 150) * shards;
    const answered = await turns(stage, wanted);
    const after = wholeFleet(stage);
    if (answered < wanted) broken.push(`${wanted - answered} of ${wanted} turns had no answer`);
    const each = (after.cpuSeconds - idle.cpuSeconds) / Math.max(1, answered);
    base ??= each;
    const memory = gateways(stage);
    const gatewayBytes = sum(memory).residentBytes / Math.max(1, memory.length);
    const runtimeBytes = after.residentBytes - sum(memory).residentBytes;
    const name = `${shards} shard${shards === 1 ? "" : "s"}`;
    rows.push(
      row(`${name}: memory of a gateway with its helpers`, mib(gatewayBytes)),
      row(`${name}: memory of the node runtime`, mib(runtimeBytes)),
      row(`${name}: idle CPU a shard`, `${idleShare.toFixed(1)} % of a core`),
      row(
        `${name}: CPU a message`,
        `${each.toFixed(3)} s`,
        shards === 1 ? "" : `${(each / base).toFixed(2)} × of one shard's ${base.toFixed(3)} s`,
        shards === 1 ? null : { text: "≤ 1.2 × (8 shards)", met: each / base <= 1.2 },
      ),
    );
  }
  return {
    rows,
    broken,
    notes: ["CPU and memory of all processes of the fleet, from /proc; the model is not in it."],
  };
}

export const shards: Part = { name: "shards", title: "Memory and CPU of shards", run };
