import { join } from "node:path";
import { bootClock } from "../../gateway/clock.ts";
import { check } from "./checker.ts";
import { Load, type LoadShape, STEADY } from "./clients/load.ts";
import { pause } from "./clients/ws.ts";
import { runFault, waitWhole } from "./engine.ts";
import type { FaultName } from "./fault-names.ts";
import { History } from "./history.ts";
import { cronMarker } from "./marker.ts";
import { type RecordingModel, startRecordingModel } from "./model.ts";
import { LeaseWatch } from "./observe.ts";
import type { Peer } from "./peer.ts";
import { ProcessWatch } from "./processes.ts";
import { seeded } from "./random.ts";
import { schedule } from "./schedule.ts";
import { type DrillReport, summarize } from "./summary.ts";
import { startTelegram, type TelegramServer } from "./telegram.ts";
import type { Expectation } from "./verdict.ts";
import type { Driver, FaultContext, World } from "./world.ts";

export interface DrillOptions {
  seed: number;
  /** How long faults come. Null: until each came once. */
  minutes: number | null;
  faults: readonly FaultName[];
  /** The faults were named one by one: each must then have been applied. */
  named: boolean;
  /** Makes what is broken. */
  driver: Driver;
  /** What the nodes run, for the record. */
  release: string;
  load?: Partial<LoadShape>;
  /** One line of progress, for people. */
  say(line: string): void;
  signal: AbortSignal;
}

export interface DrillResult {
  report: DrillReport;
  history: History;
  /** Kept on failure; null when it was removed. */
  dataDir: string | null;
}

const BOT = "777000:AAdrilldrilldrilldrilldrilldrilldr";
/** First boot of all shards, on a machine that does it one after another. */
const FIRST_BOOT_MS = 300_000;
/** Attempts to find a session on each shard. */
const SESSION_TRIES = 60;
const FLUSH_MS = 1_000;

const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;

/** Everything that a drill starts; closed in reverse. */
interface Stage {
  world: World;
  history: History;
  watch: ProcessWatch;
  leases: LeaseWatch;
  model: RecordingModel;
  telegram: TelegramServer;
}

/** How to ask for the same again, without the seed. */
const commandOf = ({ driver, minutes, named, faults }: DrillOptions): string =>
  [
    driver.command,
    minutes === null ? "--once" : `--minutes ${minutes}`,
    ...(named ? faults : []).map((fault) => `--fault ${fault}`),
  ].join(" ");

async function raise(options: DrillOptions): Promise<Stage & AsyncDisposable> {
  const { driver } = options;
  const header = {
    seed: options.seed,
    minutes: options.minutes ?? 0,
    startedAt: new Date().toISOString(),
    nodes: [...driver.nodes],
    shards: [...driver.shards],
    faults: [...options.faults],
    release: options.release,
    command: commandOf(options),
  };
  // The observers are made before the fleet: the model's address is part of its configuration.
  const history = new History(header, bootClock);
  let created: World | null = null;
  const watch = new ProcessWatch(
    history,
    (stateDir, pid) => created?.shardOf(stateDir, pid) ?? null,
    driver.places,
  );
  const callerOf = (peer: Peer) => watch.callerOf(peer);
  const address = await driver.address();
  const model = await startRecordingModel(history, callerOf, () => {}, address);
  const telegram = await startTelegram(history, callerOf, address);
  const close = async () => {
    await telegram.close();
    await model.close();
  };
  const telegramBot = {
    enabled: true,
    botToken: BOT,
    apiRoot: telegram.url,
    dmPolicy: "open",
    allowFrom: ["*"],
  };
  const tick = { name: "tick", schedule: "* * * * *", message: cronMarker("tick"), enabled: true };
  let world: World;
  try {
    const agent = { channels: { telegram: telegramBot }, cron: [tick] };
    world = await driver.create({ modelUrl: model.url, agent }, options);
  } catch (error) {
    await close();
    throw error;
  }
  created = world;
  history.writeTo(join(world.dataDir, "history.jsonl"));
  const leases = new LeaseWatch(world, history);
  return {
    world,
    history,
    watch,
    leases,
    model,
    telegram,
    [Symbol.asyncDispose]: async () => {
      leases.stop();
      await world.stop();
      watch.look();
      watch.stop();
      history.flush();
      await close();
    },
  };
}

/** One session on each shard, found by asking; the fleet decides where a new session goes. */
async function sessionsOnShards(world: World, load: Load): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (let i = 1; i <= SESSION_TRIES && found.size < world.shards.length; i++) {
    const session = `probe-${i}`;
    const answer = await load.probe(session);
    if (answer?.shard && !found.has(answer.shard)) found.set(answer.shard, session);
  }
  const without = world.shards.filter((shard) => !found.has(shard));
  if (without.length > 0) {
    throw new Error(`none of ${SESSION_TRIES} new sessions was answered by ${without.join(", ")}`);
  }
  return found;
}

/** A whole drill: a fleet of its own, load, faults, checks. Leaves nothing behind but a failure's data. */
export async function runDrill(options: DrillOptions): Promise<DrillResult> {
  const { say, signal } = options;
  let world: World | null = null;
  let keep = true;
  try {
    let history: History;
    let expected: Expectation;
    let trouble: string | null = null;
    {
      await using stage = await raise(options);
      ({ world, history } = stage);
      const flush = setInterval(() => history.flush(), FLUSH_MS);
      const random = seeded(options.seed);
      const load = new Load(history, world.target, random.fork("load"), stage.telegram);
      const shape: LoadShape = { ...STEADY, bot: BOT, ...options.load };
      expected = {
        telegram: shape.bot !== null,
        cron: (options.minutes ?? 2) >= 2,
        websocket: shape.sockets > 0,
        faults: options.named ? options.faults : [],
      };
      try {
        trouble = await act(options, stage, load, shape);
      } finally {
        clearInterval(flush);
      }
      say(`stopping the fleet after ${seconds(history.now())}`);
    }
    const outcome = check(history.header, history.events, expected);
    const report = summarize(history.header, history.events, outcome, trouble);
    keep = !report.ok;
    return { report, history, dataDir: keep ? world.dataDir : null };
  } catch (error) {
    // Stopped by a person: nothing to look at afterwards.
    if (signal.aborted) keep = false;
    throw error;
  } finally {
    await world?.remove(keep);
    await options.driver.close();
  }
}

/** Boots, loads, hurts. Returns why the drill could not be carried through, or null. */
async function act(
  options: DrillOptions,
  stage: Stage,
  load: Load,
  shape: LoadShape,
): Promise<string | null> {
  const { world, history, watch, leases } = stage;
  const { say, signal, driver } = options;
  const sessions = new Map<string, string>();
  const context: FaultContext = {
    world,
    history,
    watch,
    wholeMs: driver.wholeMs,
    sessionOf: (shard) => sessions.get(shard) ?? `probe-${shard}`,
    send: (session, turnMs) => load.probe(session, turnMs),
    signal,
  };
  try {
    say(
      `starting nodes ${world.nodes.join(", ")}, shards ${world.shards.join(", ")} in ${world.dataDir}`,
    );
    watch.start();
    leases.start();
    await world.start();
    await waitWhole(context, FIRST_BOOT_MS);
    for (const [shard, session] of await sessionsOnShards(world, load))
      sessions.set(shard, session);
    const begun = history.now();
    history.add({ type: "note", text: "load begins" });
    load.start(shape);
    const { minutes, faults } = options;
    const endsAt = minutes === null ? null : begun + minutes * 60_000;
    const count = Object.values({ ...shape, bot: null, thinkMs: null, longestTurnMs: null })
      .filter((value): value is number => typeof value === "number")
      .reduce((sum, value) => sum + value, shape.completions);
    say(
      `load of ${count} clients${shape.bot ? " and a Telegram bot" : ""}; ${minutes === null ? `${faults.length} faults` : `faults for ${minutes} min`}, seed ${options.seed}`,
    );
    for (const planned of schedule(options.seed, faults, world.nodes.length)) {
      const over =
        endsAt === null ? planned.n > faults.length : history.now() + planned.restMs >= endsAt;
      if (over) break;
      await pause(planned.restMs, signal);
      const result = await runFault(context, planned);
      say(`${result.ok ? "✓" : "✗"} ${planned.n}. ${result.text}`);
      if (!result.ok && !(await stillThere(context))) return "the fleet did not come back";
      await load.noneStarved(signal, (ms) =>
        say(`a request has waited for ${seconds(ms)}: the next fault comes behind its end`),
      );
    }
    await pause(Math.max(0, (endsAt ?? 0) - history.now()), signal);
    return null;
  } catch (error) {
    signal.throwIfAborted();
    return (error as Error).message;
  } finally {
    if (!signal.aborted) {
      history.add({ type: "note", text: "load ends" });
      say("no new turns; waiting for the running ones");
      await Promise.race([load.finish(), whenAborted(signal)]);
    }
  }
}

/** Ctrl-C must not wait for a minute's turn. */
const whenAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

const stillThere = (context: FaultContext): Promise<boolean> =>
  waitWhole(context, 30_000).then(
    () => true,
    () => false,
  );
