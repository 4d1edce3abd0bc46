import { completion } from "../drill/clients/http.ts";
import { messageOf } from "../drill/clients/load.ts";
import { pause } from "../drill/clients/ws.ts";
import { newMarker } from "../drill/marker.ts";
import { type BenchFleet, benchFleet, LAWS } from "./fleet.ts";
import {
  type BenchContext,
  mib,
  type Part,
  type PartResult,
  type Row,
  row,
  seconds,
  some,
} from "./part.ts";
import { usageOf } from "./usage.ts";

const COUNTS = [1, 50, 200];
/** Agents that get a turn; the design plans about as many per 2 GiB. */
const ACTIVE = 10;
const TURN_MS = 180_000;
const CLOCK_STEP_MS = 10;

interface Measured {
  count: number;
  bootMs: number;
  /** With `main` active alone, and with the first ten. */
  oneActive: number;
  allActive: number;
  broken: string[];
}

/** One turn with an agent; null when it was answered with its own text. */
async function turn(stage: BenchFleet, agent: string, stop: AbortSignal): Promise<string | null> {
  const marker = newMarker();
  const signal = AbortSignal.any([stop, AbortSignal.timeout(TURN_MS)]);
  const message = messageOf(marker, 0);
  try {
    const call = { agent, session: "bench", message, key: null, marker, signal };
    const { reply } = await completion(stage.fleet.target, call);
    return reply.includes(marker) ? null : `agent ${agent} gave another answer: ${reply}`;
  } catch (error) {
    stop.throwIfAborted();
    return `agent ${agent} did not answer: ${(error as Error).message}`;
  }
}

async function measure(bench: BenchContext, count: number): Promise<Measured> {
  bench.say(`starting 1 gateway with ${some(count, "agent")}`);
  const moreAgents = Array.from({ length: count - 1 }, (_, i) => `agent-${i + 1}`);
  await using stage = await benchFleet(bench, { nodes: 1, shards: 1, moreAgents });
  const pid = stage.watch.gatewayOf("s1") ?? 0;
  const oneActive = usageOf(pid).residentBytes;
  const broken: string[] = [];
  for (const agent of moreAgents.slice(0, ACTIVE - 1)) {
    const fault = await turn(stage, agent, bench.signal);
    if (fault !== null) broken.push(`${some(count, "agent")}: ${fault}`);
  }
  const allActive = usageOf(pid).residentBytes;
  // Once more with the first one: its session must still have what was said before. The clock's steps
  // are of 10 ms, and only what was answered before a turn counts as earlier.
  await pause(2 * CLOCK_STEP_MS, bench.signal);
  await stage.load.probe(stage.context.sessionOf("s1"));
  const faults = stage.brokenLaws();
  if (stage.watch.gatewayOf("s1") !== pid) faults.push("its gateway was replaced meanwhile");
  broken.push(...faults.map((fault) => `${some(count, "agent")}: ${fault}`));
  return { count, bootMs: stage.bootMs, oneActive, allActive, broken };
}

function rowsOf(one: Measured, base: Measured): Row[] {
  const name = `${some(one.count, "agent")} in one gateway`;
  if (one === base) {
    return [row(name, `boots in ${seconds(one.bootMs)}, ${mib(one.oneActive)} after a turn`)];
  }
  const perConfigured = (one.oneActive - base.oneActive) / (one.count - 1);
  const perActive = (one.allActive - one.oneActive) / (ACTIVE - 1);
  return [
    row(`${name}: boot`, seconds(one.bootMs), `1 agent: ${seconds(base.bootMs)}`),
    row(
      `${name}: memory with 1 active, with ${ACTIVE}`,
      `${mib(one.oneActive)}, ${mib(one.allActive)}`,
      `1 agent: ${mib(base.oneActive)}`,
    ),
    row(
      `${name}: for each more that is configured, that is active`,
      `${mib(perConfigured)}, ${mib(perActive)}`,
    ),
  ];
}

async function run(bench: BenchContext): Promise<PartResult> {
  const found: Measured[] = [];
  for (const count of bench.quick ? COUNTS.slice(0, 2) : COUNTS) {
    found.push(await measure(bench, count));
  }
  const [base] = found;
  return {
    rows: base ? found.flatMap((one) => rowsOf(one, base)) : [],
    laws: LAWS,
    broken: found.flatMap(({ broken }) => broken),
    notes: [
      "Boot is from the start of the node to a serving shard; memory is the gateway's with its helpers, right after the turns.",
      "An agent is active once it had a turn.",
    ],
  };
}

export const agents: Part = { name: "agents", title: "Agents in one gateway", run };
