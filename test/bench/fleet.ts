import { mkdtempSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { bootClock } from "../../gateway/clock.ts";
import { check } from "../drill/checker.ts";
import { Load } from "../drill/clients/load.ts";
import { waitWhole } from "../drill/engine.ts";
import { createFleet, type DrillFleet } from "../drill/fleet.ts";
import { History } from "../drill/history.ts";
import { LOCAL_WHOLE_MS, localWorld } from "../drill/local.ts";
import { type RecordingModel, startRecordingModel } from "../drill/model.ts";
import { LeaseWatch } from "../drill/observe.ts";
import { ProcessWatch } from "../drill/processes.ts";
import { seeded } from "../drill/random.ts";
import { evidence } from "../drill/text.ts";
import type { FaultContext } from "../drill/world.ts";
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
  /** The laws of the drill over all that was seen so far; one line for each that does not hold. */
  brokenLaws(): string[];
}

interface Shape {
  nodes: number;
  shards: number;
  moreAgents?: string[];
}

/** What `brokenLaws` looks at, for a person. */
export const LAWS =
  "No request was lost, no turn ran twice, every shard had one owner at any time.";

const BOOT_MS = 600_000;
/** New sessions that are tried until each shard has one. */
const SESSION_TRIES = 80;
/** Memory limit of a gateway, MiB: beyond what a measurement reaches. */
const RECYCLE_MIB = 8_192;

/** Starts a fleet and waits until it serves. The model answers at once, from this process. */
export async function benchFleet(bench: BenchContext, shape: Shape): Promise<BenchFleet> {
  const release = await bench.release();
  bench.signal.throwIfAborted();
  const header = {
    seed: 1,
    minutes: 0,
    startedAt: new Date().toISOString(),
    nodes: Array.from({ length: shape.nodes }, (_, i) => `n${i + 1}`),
    shards: Array.from({ length: shape.shards }, (_, i) => `s${i + 1}`),
    faults: [],
    release: release.id,
    command: "./fleet test bench",
  };
  const history = new History(header, bootClock);
  let created: DrillFleet | null = null;
  let model: RecordingModel | null = null;
  const watch = new ProcessWatch(history, (stateDir) => created?.shardOf(stateDir) ?? null);
  let leases: LeaseWatch | null = null;
  const close = async () => {
    leases?.stop();
    await created?.stop();
    watch.stop();
    await model?.close();
    created?.remove();
  };
  try {
    model = await startRecordingModel(history, (peer) => watch.callerOf(peer));
    const fleet = await createFleet({
      ...shape,
      release,
      modelUrl: model.url,
      cores: availableParallelism(),
      recycleMiB: RECYCLE_MIB,
    });
    created = fleet;
    leases = new LeaseWatch(fleet, history);
    const load = new Load(history, fleet.target, seeded(1), null);
    const sessions = new Map<string, string>();
    const context: FaultContext = {
      world: localWorld(fleet),
      wholeMs: LOCAL_WHOLE_MS,
      history,
      watch,
      sessionOf: (shard) => sessions.get(shard) ?? `probe-${shard}`,
      send: (session, turnMs) => load.probe(session, turnMs),
      signal: bench.signal,
    };
    watch.start();
    leases.start();
    const begun = history.now();
    await Promise.all(fleet.nodes.map((node) => fleet.startNode(node)));
    await waitWhole(context, BOOT_MS);
    const bootMs = history.now() - begun;
    await findSessions(sessions, fleet, load, bench.signal);
    const brokenLaws = () => lawsBroken(history, bench.say);
    return {
      fleet,
      history,
      watch,
      load,
      context,
      bootMs,
      brokenLaws,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** One session on each shard, found by asking; the fleet decides where a new session goes. */
async function findSessions(
  sessions: Map<string, string>,
  fleet: DrillFleet,
  load: Load,
  signal: AbortSignal,
): Promise<void> {
  for (let i = 1; i <= SESSION_TRIES && sessions.size < fleet.shards.length; i++) {
    signal.throwIfAborted();
    const answer = await load.probe(`probe-${i}`);
    if (answer?.shard && !sessions.has(answer.shard)) sessions.set(answer.shard, `probe-${i}`);
  }
  const without = fleet.shards.filter((shard) => !sessions.has(shard));
  if (without.length > 0) {
    throw new Error(`none of ${SESSION_TRIES} new sessions was answered by ${without.join(", ")}`);
  }
}

/** What a bench without faults has nothing to show for. */
const FAULTS = "faults";

function lawsBroken(history: History, say: (line: string) => void): string[] {
  const expected = { telegram: false, cron: false, websocket: false, faults: [] };
  const { verdicts } = check(history.header, history.events, expected);
  const broken = verdicts.flatMap((verdict) => {
    if (verdict.status === "passed") return [];
    if (verdict.status === "unevaluated" && verdict.check === FAULTS) return [];
    return [`${verdict.law}: ${evidence(verdict)}`];
  });
  if (broken.length > 0) say(`a law is broken; all that was seen: ${kept(history)}`);
  return broken;
}

/** A fleet is removed after its measurement; what proves a fault is not. */
function kept(history: History): string {
  const file = join(mkdtempSync(join(tmpdir(), "openclaw-fleet-bench-")), "history.jsonl");
  history.writeTo(file);
  history.flush();
  return file;
}
