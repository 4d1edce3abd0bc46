import { setTimeout as sleep } from "node:timers/promises";
import { type BenchFleet, benchFleet, LAWS } from "./fleet.ts";
import {
  type BenchContext,
  mib,
  type Part,
  type PartResult,
  type Row,
  row,
  some,
  whenStopped,
} from "./part.ts";
import { sum, type Usage, usageOf } from "./usage.ts";

const COUNTS = [1, 2, 4, 8];
const IDLE_MS = 20_000;
/** Turns that each shard answers before anything counts: the first ones load and compile code. */
const WARM_TURNS = 12;
/** The same for every shard, whatever their number: a turn gets dearer as its session grows. */
const TURNS = 60;
/** Turns at once in the whole fleet, in as many sessions of each shard: enough to keep one shard busy. */
const PARALLEL = 4;
/** docs/capacity.md: the cost of a message with eight shards beside one. */
const MUST_TIMES = 1.2;
const AIM_TIMES = 1.05;
/** What a shard needs to be measured, as the presets plan it. */
const SHARD_BYTES = 1_331 * 2 ** 20;

/** Keeper, supervisor, router and all gateways below them. */
const wholeFleet = ({ fleet }: BenchFleet): Usage =>
  sum(fleet.nodes.flatMap((node) => usageOf(fleet.keeperPid(node) ?? 0)));

const gateways = ({ fleet, watch }: BenchFleet): Usage[] =>
  fleet.shards.flatMap((shard) => {
    const pid = watch.gatewayOf(shard);
    return pid === null ? [] : [usageOf(pid)];
  });

interface Measured {
  shards: number;
  gatewayBytes: number;
  runtimeBytes: number;
  /** Cores that each shard's part of the idle fleet uses. */
  idleCores: number;
  /** CPU seconds a message: all, and what is left of it without what the idle fleet would have used. */
  each: number;
  eachBeyondIdle: number;
  /** CPU seconds a message of what is not OpenClaw: keeper, supervisor, router. */
  own: number;
  perSecond: number;
  broken: string[];
}

/**
 * So many turns on each shard, PARALLEL at once in the whole fleet; returns how many were answered.
 * However many shards there are, the machine is as busy: a processor that shares its units among
 * threads takes longer over the same work when more of them run.
 */
async function turns(stage: BenchFleet, perShard: number, signal: AbortSignal): Promise<number> {
  let answered = 0;
  const client = async (i: number) => {
    for (let turn = 0; turn < perShard / PARALLEL; turn++) {
      for (const id of stage.fleet.shards) {
        if (signal.aborted) return;
        if (await stage.load.probe(`${stage.context.sessionOf(id)}-${i}`)) answered++;
      }
    }
  };
  const clients = Promise.all(Array.from({ length: PARALLEL }, (_, i) => client(i)));
  await Promise.race([clients, whenStopped(signal)]);
  return answered;
}

async function measure(bench: BenchContext, shards: number): Promise<Measured> {
  const { signal } = bench;
  bench.say(`starting 1 node with ${some(shards, "shard")}`);
  await using stage = await benchFleet(bench, { nodes: 1, shards });
  await turns(stage, WARM_TURNS, signal);
  const idleMs = bench.quick ? IDLE_MS / 4 : IDLE_MS;
  const perShard = bench.quick ? 12 : TURNS;
  bench.say(`idle for ${idleMs / 1000} s, then ${perShard * shards} turns`);
  const before = wholeFleet(stage);
  await sleep(idleMs, undefined, { signal });
  const idle = wholeFleet(stage);
  const idleGateways = sum(gateways(stage));
  const idleCores = (idle.cpuSeconds - before.cpuSeconds) / (idleMs / 1000);
  const begun = performance.now();
  const wanted = perShard * shards;
  const answered = await turns(stage, perShard, signal);
  const seconds = (performance.now() - begun) / 1000;
  const after = wholeFleet(stage);
  const used = after.cpuSeconds - idle.cpuSeconds;
  const memory = gateways(stage);
  const missing = wanted - answered;
  return {
    shards,
    gatewayBytes: sum(memory).residentBytes / Math.max(1, memory.length),
    runtimeBytes: after.residentBytes - sum(memory).residentBytes,
    idleCores: idleCores / shards,
    each: used / Math.max(1, answered),
    own: (used - (sum(memory).cpuSeconds - idleGateways.cpuSeconds)) / Math.max(1, answered),
    eachBeyondIdle: (used - idleCores * seconds) / Math.max(1, answered),
    perSecond: answered / seconds,
    broken: [
      ...(missing > 0 ? [`${missing} of ${wanted} turns had no answer`] : []),
      ...stage.brokenLaws(),
    ],
  };
}

function rowsOf(one: Measured, base: Measured): Row[] {
  const name = some(one.shards, "shard");
  const times = one.eachBeyondIdle / base.eachBeyondIdle;
  const first = one === base;
  return [
    row(
      `${name}: memory of a gateway with its helpers, of the node's runtime`,
      `${mib(one.gatewayBytes)}, ${mib(one.runtimeBytes)}`,
      first ? "" : `1 shard: ${mib(base.gatewayBytes)}, ${mib(base.runtimeBytes)}`,
    ),
    row(
      `${name}: CPU while idle, a shard`,
      `${(100 * one.idleCores).toFixed(1)} % of a core`,
      first ? "" : `1 shard: ${(100 * base.idleCores).toFixed(1)} %`,
    ),
    row(
      `${name}: CPU a message`,
      `${one.eachBeyondIdle.toFixed(3)} s beyond idle, ${one.each.toFixed(3)} s in all, ${one.own.toFixed(3)} s of it not OpenClaw's`,
      first
        ? ""
        : `1 shard: ${base.eachBeyondIdle.toFixed(3)} s, so ${times.toFixed(2)} ×; ${base.each.toFixed(3)} s in all`,
      first
        ? {}
        : {
            must: { text: `≤ ${MUST_TIMES} ×`, met: times <= MUST_TIMES },
            aim: { text: `≤ ${AIM_TIMES} ×`, met: times <= AIM_TIMES },
          },
    ),
    row(
      `${name}: messages a second`,
      one.perSecond.toFixed(1),
      first ? "" : `1 shard: ${base.perSecond.toFixed(1)}`,
    ),
  ];
}

async function run(bench: BenchContext): Promise<PartResult> {
  const notes = [
    "CPU and memory are of all processes of the fleet, from `/proc` (shared pages count for each process); clients and model are not in them.",
    `Each shard answers ${TURNS} short turns, ${PARALLEL} at once in the whole fleet, so that the machine is as busy with one shard as with eight.`,
    "The bound is the design's for 8 shards.",
  ];
  const found: Measured[] = [];
  for (const shards of bench.quick ? COUNTS.slice(0, 1) : COUNTS) {
    const need = shards * SHARD_BYTES;
    if (need > process.availableMemory()) {
      notes.push(`${shards} shards were left out: they need ${mib(need)} of free memory.`);
      continue;
    }
    found.push(await measure(bench, shards));
  }
  const [base] = found;
  if (!base) throw new Error(`one shard needs ${mib(SHARD_BYTES)} of free memory`);
  return {
    rows: found.flatMap((one) => rowsOf(one, base)),
    laws: LAWS,
    broken: found.flatMap(({ shards, broken }) =>
      broken.map((law) => `${some(shards, "shard")}: ${law}`),
    ),
    notes,
  };
}

export const shards: Part = { name: "shards", title: "Memory and CPU of shards", run };
