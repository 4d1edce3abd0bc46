import { completion } from "../drill/clients/http.ts";
import { messageOf } from "../drill/clients/load.ts";
import { newMarker } from "../drill/marker.ts";
import { benchFleet } from "./fleet.ts";
import {
  type BenchContext,
  mib,
  type Part,
  type PartResult,
  type Row,
  row,
  seconds,
} from "./part.ts";
import { usageOf } from "./usage.ts";

const ACTIVE = 10;
const TURN_MS = 120_000;

async function run(bench: BenchContext): Promise<PartResult> {
  const rows: Row[] = [];
  const broken: string[] = [];
  let one = "";
  for (const count of bench.quick ? [1, 50] : [1, 50, 200]) {
    bench.say(`${count} agents in one gateway`);
    const moreAgents = Array.from({ length: count - 1 }, (_, i) => `agent-${i + 1}`);
    await using stage = await benchFleet(bench, { nodes: 1, shards: 1, moreAgents });
    const { fleet, watch, bootMs } = stage;
    const pid = watch.gatewayOf("s1") ?? 0;
    const idle = usageOf(pid).residentBytes;
    for (const agent of moreAgents.slice(0, ACTIVE - 1)) {
      const marker = newMarker();
      const signal = AbortSignal.timeout(TURN_MS);
      const message = messageOf(marker, 0);
      const call = { agent, session: "bench", message, key: null, marker, signal };
      await completion(fleet.target, call).catch((error: Error) => {
        broken.push(`agent ${agent} of ${count} did not answer: ${error.message}`);
      });
    }
    const active = Math.min(ACTIVE, count);
    const busy = usageOf(pid).residentBytes;
    const measured = `boots in ${seconds(bootMs)}, ${mib(idle)} with one active, ${mib(busy)} with ${active}`;
    rows.push(row(`${count} agent${count === 1 ? "" : "s"}`, measured, one));
    one ||= `one agent: ${mib(idle)}, boots in ${seconds(bootMs)}`;
  }
  return { rows, broken, notes: ["Boot is from the start of the node to a serving shard."] };
}

export const agents: Part = { name: "agents", title: "Agents in one gateway", run };
