import { availableParallelism } from "node:os";
import { bootClock } from "../../gateway/clock.ts";
import { startDemoModel } from "../../gateway/model/server.ts";
import { Load } from "../drill/clients/load.ts";
import { waitWhole } from "../drill/engine.ts";
import type { FaultContext } from "../drill/faults.ts";
import { createFleet, type DrillFleet } from "../drill/fleet.ts";
import { History } from "../drill/history.ts";
import { ProcessWatch } from "../drill/processes.ts";
import { seeded } from "../drill/random.ts";
import type { BenchContext } from "./part.ts";

/** A private fleet under measurement. Disposing ends and removes all of it. */
export interface BenchFleet extends AsyncDisposable {
  fleet: DrillFleet;
  history: History;
  watch: ProcessWatch;
  load: Load;
  context: FaultContext;
  /** From the start of the nodes until every shard served, ms. */
  bootMs: number;
}

const BOOT_MS = 600_000;
const SESSION_TRIES = 80;

/** Starts a fleet and waits until it serves. The model answers at once, from this process. */
export async function benchFleet(
  bench: BenchContext,
  shape: { nodes: number; shards: number; moreAgents?: string[] },
): Promise<BenchFleet> {
  const release = await bench.release();
  const history = new History(
    {
      seed: 1,
      minutes: 0,
      startedAt: new Date().toISOString(),
      nodes: [],
      shards: [],
      faults: [],
      release: release.id,
    },
    bootClock,
  );
  const model = await startDemoModel();
  const fleet = await createFleet({
    ...shape,
    release,
    modelUrl: model.url,
    cores: availableParallelism(),
    recycleMiB: 8_192,
  });
  const watch = new ProcessWatch(history, fleet.shardOf);
  const load = new Load(history, fleet.target, seeded(1), null);
  const sessions = new Map<string, string>();
  const context: FaultContext = {
    fleet,
    history,
    watch,
    sessionOf: (shard) => sessions.get(shard) ?? `probe-${shard}`,
    send: (session, turnMs) => load.probe(session, turnMs),
    signal: bench.signal,
  };
  const close = async () => {
    await fleet.stop();
    watch.stop();
    await model.close();
    fleet.remove();
  };
  try {
    watch.start();
    const begun = history.now();
    await Promise.all(fleet.nodes.map((node) => fleet.startNode(node)));
    await waitWhole(context, BOOT_MS);
    const bootMs = history.now() - begun;
    for (let i = 1; i <= SESSION_TRIES && sessions.size < fleet.shards.length; i++) {
      const answer = await load.probe(`probe-${i}`);
      if (answer?.shard && !sessions.has(answer.shard)) sessions.set(answer.shard, `probe-${i}`);
    }
    return { fleet, history, watch, load, context, bootMs, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
