import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { FleetConfig } from "../gateway/config.ts";
import { FleetApi } from "./api.ts";
import { failuresOf } from "./faults.ts";
import {
  fleetFile,
  leaseFile,
  nodeDir,
  nodesIn,
  readFleet,
  readIfThere,
  writePrivate,
} from "./files.ts";
import { importInputs } from "./fleet-import.ts";
import {
  type FleetInputs,
  type FleetTokens,
  fleetInputs,
  fleetText,
  keepPlaces,
  renderFleet,
  revision,
} from "./fleet-inputs.ts";
import {
  type CheckFailure,
  type Diff,
  type Handler,
  type Operation,
  PartlyDone,
} from "./handler.ts";
import type { NodeLauncher } from "./launcher.ts";
import { STOP_BUDGET_MS, untilAnswered } from "./node-steps.ts";
import { diskFault, memoryFault, portFault } from "./preflight.ts";
import { seeAlso } from "./see-also.ts";
import { differences, type Props, reveal, secret, UNKNOWN } from "./values.ts";
import { waitFor } from "./wait.ts";

/** What preflight looks at; replaced in tests. */
export interface Preflight {
  memory(needMiB: number): string | null;
  disk(dir: string, needMiB: number): string | null;
  port(host: string, port: number): Promise<string | null>;
  /** What OpenClaw says against a fleet's settings. */
  settings(fleet: FleetConfig): Promise<string | null>;
}
const REAL_PREFLIGHT: Preflight = {
  memory: memoryFault,
  disk: diskFault,
  port: portFault,
  settings: async (fleet) => (await import("./settings-check.ts")).settingsFault(fleet),
};

/** Inputs that end up in what OpenClaw reads. */
const READ_BY_OPENCLAW = ["shards", "agents", "models", "openclaw"] as const;

/** Outputs that a person never writes: made at creation. */
const MADE = ["clientTokens", "adminToken", "peerToken", "revision"] as const;

/** Inputs that only a creation's preflight reads: another node is no change of the fleet. */
const NEEDS: readonly string[] = ["memoryMiB", "diskMiB"];

/** Inputs that no node ever reads: they are not in fleet.json. */
const UNREAD: readonly string[] = [...NEEDS, "dataDir", "keepData"];

/** OpenClaw looks at its files anew, and a gateway that starts over shows in every view. */
const SETTLE_MS = 1_500;
/** A gateway that reloads is back sooner, or does not answer for another reason. */
const INSIST_MS = 20_000;
/** Nodes look at the file every second or so, and a gateway's own check of it takes seconds. */
const SOON_MS = 60_000;
/** A shard that failed is tried again at once with new settings; one that failed by then does so with these. */
const FAILS_AGAIN_MS = 15_000;

/** `openclaw:local:Fleet`: the data directory, fleet.json, the lease store and the tokens. */
export class FleetHandler implements Handler {
  readonly #launcher: NodeLauncher;
  readonly #preflight: Preflight;
  readonly #settleMs: number;

  /** @param settleMs pause between new settings and the question whether they answer */
  constructor(
    launcher: NodeLauncher,
    preflight: Preflight = REAL_PREFLIGHT,
    settleMs: number = SETTLE_MS,
  ) {
    this.#launcher = launcher;
    this.#preflight = preflight;
    this.#settleMs = settleMs;
  }

  check(olds: Props | undefined, news: Props): { inputs: Props; failures: CheckFailure[] } {
    const inputs = olds ? keepPlaces(olds, news) : news;
    const parsed = fleetInputs.safeParse(reveal(inputs));
    const failures = failuresOf(parsed.error);
    const was = olds && reveal(olds.dataDir);
    const is = reveal(inputs.dataDir);
    if (typeof is === "string" && !isAbsolute(is)) {
      failures.push({ property: "dataDir", reason: `${is} is not an absolute path` });
    }
    if (was !== undefined && was !== is) {
      failures.push({
        property: "dataDir",
        reason:
          `the fleet lives in ${was}, and a fleet does not move: its conversations would stay behind. ` +
          `Set OPENCLAW_DATA_DIR to ${was}, or destroy the stack first (found ${is})`,
      });
    }
    return { inputs, failures };
  }

  diff(state: Props, oldInputs: Props, news: Props): Diff {
    const changes = differences(reveal(oldInputs), reveal(news)).filter(
      ({ path }) => !NEEDS.includes(path),
    );
    const text = fleetText(renderFleet(reveal(news), tokensOf(reveal(state), reveal(news))));
    if (changes.length === 0 && reveal(state.revision) !== revision(text)) {
      return {
        changes: [{ path: "revision", kind: "update" }],
        replaces: [],
        outputOnly: ["revision"],
      };
    }
    return { changes, replaces: [] };
  }

  async create(news: Props, { preview }: Operation & { preview: boolean }) {
    const inputs = fleetInputs.parse(reveal(news));
    const { dataDir } = inputs;
    const kept = this.#adopt(inputs);
    const faults = [
      this.#preflight.memory(inputs.memoryMiB),
      this.#preflight.disk(dataDir, inputs.diskMiB),
      await this.#preflight.port(inputs.host, inputs.port),
      await this.#preflight.settings(renderFleet(inputs, makeTokens(inputs, kept?.tokens))),
    ].filter((fault) => fault !== null);
    if (faults.length > 0) throw new Error(faults.join("\n"));
    if (preview) {
      const unknown = Object.fromEntries(MADE.map((name) => [name, secret(UNKNOWN)]));
      return { id: "", state: { ...news, ...unknown, revision: UNKNOWN } };
    }
    const tokens = makeTokens(inputs, kept?.tokens);
    const text = fleetText(renderFleet(inputs, tokens));
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    writePrivate(fleetFile(dataDir), text);
    // A store may only claim that no shard ever had an owner while there is no state of any.
    if (!existsSync(leaseFile(dataDir)) && !existsSync(join(dataDir, "shards"))) {
      this.#launcher.createLeases(leaseFile(dataDir));
    }
    return { id: dataDir, state: stateOf(news, tokens, text) };
  }

  async read(id: string, state: Props | undefined, inputs: Props | undefined) {
    const text = readIfThere(fleetFile(id));
    if (text === null) return null;
    if (state && inputs) return { state: { ...state, revision: revision(text) }, inputs };
    const config = readFleet(id);
    if (!config) return null;
    const imported = importInputs(id, config);
    return { state: stateOf(imported, config.tokens, text), inputs: imported };
  }

  async update(
    id: string,
    state: Props,
    news: Props,
    operation: Operation & { preview: boolean },
  ): Promise<Props> {
    const inputs = fleetInputs.parse(reveal(news));
    const before = reveal<Partial<FleetInputs>>(state);
    const faults = [];
    // What an update wrote that failed after it is there, whatever the state says: its own router has the port.
    const there = readFleet(inputs.dataDir);
    const had = new Set([
      ...Object.keys(before.shards ?? {}),
      ...(there?.shards ?? []).map(({ id }) => id),
    ]);
    const grown = Object.entries(inputs.shards).filter(([shard]) => !had.has(shard));
    if (grown.length > 0) {
      faults.push(this.#preflight.memory(grown.reduce((sum, [, s]) => sum + s.memoryMiB, 0)));
    }
    const isThere = ({ host, port }: Pick<FleetConfig, "host" | "port">) =>
      host === inputs.host && port === inputs.port;
    const runs = (node: string) => this.#launcher.running(inputs.dataDir, node);
    const listens = there !== null && isThere(there) && nodesIn(inputs.dataDir).some(runs);
    if ((before.port !== inputs.port || before.host !== inputs.host) && !listens) {
      faults.push(await this.#preflight.port(inputs.host, inputs.port));
    }
    const tokens = tokensOf(reveal(state), inputs);
    if (READ_BY_OPENCLAW.some((name) => differences(before[name], inputs[name]).length > 0)) {
      faults.push(await this.#preflight.settings(renderFleet(inputs, tokens)));
    }
    const real = faults.filter((fault) => fault !== null);
    if (real.length > 0) throw new Error(real.join("\n"));
    const made = Object.fromEntries(MADE.map((name) => [name, state[name]]));
    if (operation.preview) return { ...news, ...made };
    const text = fleetText(renderFleet(inputs, tokens));
    const written = readIfThere(fleetFile(inputs.dataDir));
    writePrivate(fleetFile(inputs.dataDir), text);
    // The file alone does not tell: a run that was cut off may have written it.
    if (written !== text || readByNodes(before, inputs)) {
      try {
        await this.#takenUp(inputs, before, text, operation);
      } catch (error) {
        // The file is written. Without this the way back to the settings before would be no change.
        throw new PartlyDone(id, { ...state, revision: revision(text) }, (error as Error).message);
      }
    }
    return stateOf(news, tokens, text);
  }

  async delete(id: string, state: Props, operation: Operation): Promise<void> {
    const inputs = reveal<Partial<FleetInputs>>(state);
    const found = foundFleet(id);
    if (found !== null && found !== inputs.fleet) {
      throw new Error(
        `${id} belongs to fleet ${found}, not to ${inputs.fleet}: nothing was removed. Remove it by hand if that is right`,
      );
    }
    // Nodes that an interrupted run started and no state knows.
    for (const node of nodesIn(id)) operation.say(`stopping node ${node}`);
    await Promise.all(nodesIn(id).map((node) => this.#launcher.stop(id, node, STOP_BUDGET_MS)));
    if (inputs.keepData) {
      for (const node of nodesIn(id)) rmSync(nodeDir(id, node), { recursive: true, force: true });
    } else if (found !== null) rmSync(id, { recursive: true, force: true });
  }

  /** What an earlier life of this fleet left; null when the place is free. Throws when it is not ours. */
  #adopt(inputs: FleetInputs): FleetConfig | null {
    const { dataDir, fleet } = inputs;
    const found = foundFleet(dataDir);
    const way = "Choose another place with OPENCLAW_DATA_DIR";
    if (found !== null && found !== fleet) {
      throw new Error(`${dataDir} holds the data of fleet ${found}, not of ${fleet}. ${way}`);
    }
    if (found === null) {
      if (existsSync(dataDir) && readdirSync(dataDir).length > 0) {
        throw new Error(`${dataDir} exists, is not empty and holds no fleet. ${way}, or empty it`);
      }
      return null;
    }
    const running = nodesIn(dataDir).filter((node) => this.#launcher.running(dataDir, node));
    if (running.length > 0) {
      throw new Error(
        `fleet ${fleet} already runs in ${dataDir} (nodes ${running.join(", ")}), deployed from another place. ` +
          `Destroy it there, or ${way.charAt(0).toLowerCase()}${way.slice(1)}`,
      );
    }
    return readFleet(dataDir);
  }

  /**
   * Waits until a running fleet follows its new settings, shows the shards and agents it was given, and answers a
   * chat. Where a node does not run, its own change comes next, starts it and asks for the answer.
   */
  async #takenUp(
    inputs: FleetInputs,
    before: Partial<FleetInputs>,
    text: string,
    op: Operation,
  ): Promise<void> {
    const { dataDir } = inputs;
    const runs = (node: string) => this.#launcher.running(dataDir, node);
    const nodes = nodesIn(dataDir);
    const moved =
      before.host !== inputs.host || before.port !== inputs.port || layoutChanged(before, inputs);
    if (!nodes.some(runs)) return;
    const all = nodes.every(runs);
    if (!all && !moved) return;
    await this.#followed(inputs, text, moved, op);
    await sleep(this.#settleMs, undefined, { signal: op.signal }).catch(() => {});
    if ((await this.#served(inputs, moved, op)) && all) await untilAnswered(dataDir, op, INSIST_MS);
  }

  /**
   * Waits until every node that runs was brought to the settings. One that is not soon may be of a release that does
   * not understand them, whose own change comes next: it stops an update only where shards or agents moved.
   */
  async #followed(
    { dataDir, shards }: FleetInputs,
    text: string,
    moved: boolean,
    op: Operation,
  ): Promise<void> {
    const api = FleetApi.of(dataDir);
    const { signal } = op;
    let behind: string[] = [];
    const done = await waitFor(
      async () => {
        const status = await api.status(signal);
        if (!status) return null;
        const asked = status.nodes
          .filter(({ id, state }) => state !== "lost" && this.#launcher.running(dataDir, id))
          .map(async ({ id, address }) =>
            (await api.nodeFollows(address, id, revision(text), signal)) ? null : id,
          );
        behind = (await Promise.all(asked)).filter((id) => id !== null);
        if (behind.length > 0) op.say(`new settings reach ${behind.join(", ")}`);
        return behind.length === 0 ? true : null;
      },
      {
        what: "waiting for the new settings",
        deadlineMs: moved ? followMs(shards) : SOON_MS,
        signal,
      },
    );
    if (done) return;
    if (moved) throw this.#late(dataDir, behind);
    op.say(`${behind.join(", ") || "the router"} did not take the new settings up yet`);
  }

  /**
   * Waits until every shard serves with its agents.
   * @param moved they are others than before
   * @returns false: nobody may take shards, and none are new; whoever set the nodes aside brings them back
   */
  async #served(inputs: FleetInputs, moved: boolean, op: Operation): Promise<boolean> {
    const { dataDir } = inputs;
    const want = renderLayout(inputs.shards, inputs.agents);
    const api = FleetApi.of(dataDir);
    const { signal } = op;
    const mayFailUntil = performance.now() + FAILS_AGAIN_MS;
    let missing: string[] = [];
    const done = await waitFor<"served" | "nobody">(
      async () => {
        const status = await api.status(signal);
        if (!status) return null;
        missing = Object.entries(want)
          .filter(([id, agents]) => {
            const shard = status.shards.find((s) => s.id === id);
            return shard?.state !== "serving" || shard.agents.join() !== agents.join();
          })
          .map(([id]) => id);
        if (missing.length === 0) return "served";
        if (!moved && !status.nodes.some(({ state }) => state === "active")) return "nobody";
        const failed = status.shards.find(({ id, state }) => state === "failed" && want[id]);
        if (failed && performance.now() > mayFailUntil) {
          throw new Error(
            `the settings were written, but shard ${failed.id} cannot run: ${failed.reason ?? "no reason given"}. ` +
              seeAlso(inputs.fleet, `logs ${failed.id}`),
          );
        }
        op.say(`waiting for ${missing.join(", ")}`);
        return null;
      },
      {
        what: "waiting for the new layout",
        deadlineMs: followMs(inputs.shards),
        signal,
      },
    );
    if (!done) throw this.#late(dataDir, missing);
    return done === "served";
  }

  #late(dataDir: string, missing: readonly string[]): Error {
    return new Error(
      `the settings were written, but ${missing.join(", ") || "the router"} did not follow in time. ` +
        seeAlso(readFleet(dataDir)?.fleet, "status", "logs"),
    );
  }
}

/** Time for a running fleet to take new settings up. */
const followMs = (shards: object): number => 120_000 + 60_000 * Object.keys(shards).length;

/** Whether nodes read anything else than before. */
const readByNodes = (before: Partial<FleetInputs>, inputs: FleetInputs): boolean =>
  fleetInputs
    .keyof()
    .options.some(
      (name) => !UNREAD.includes(name) && differences(before[name], inputs[name]).length > 0,
    );

function layoutChanged(before: Partial<FleetInputs>, inputs: FleetInputs): boolean {
  const layout = ({ shards = {}, agents = {} }: Partial<FleetInputs>) =>
    JSON.stringify(renderLayout(shards, agents));
  return layout(before) !== layout(inputs);
}

function renderLayout(shards: object, agents: FleetInputs["agents"]): Record<string, string[]> {
  const names = Object.keys(agents).sort((a, b) =>
    a === "main" ? -1 : b === "main" ? 1 : a < b ? -1 : 1,
  );
  return Object.fromEntries(
    Object.keys(shards)
      .sort()
      .map((id) => [id, names.filter((name) => agents[name]?.shards.includes(id))]),
  );
}

/** Name of the fleet whose data lies there; null when there is no fleet.json. */
function foundFleet(dataDir: string): string | null {
  const text = readIfThere(fleetFile(dataDir));
  if (text === null) return null;
  try {
    const { fleet } = JSON.parse(text) as { fleet?: unknown };
    if (typeof fleet === "string") return fleet;
  } catch {
    // Said below.
  }
  throw new Error(`${fleetFile(dataDir)} cannot be read as a fleet. Move it away, or restore it`);
}

const newToken = () => randomBytes(32).toString("base64url");

function makeTokens(inputs: FleetInputs, kept: FleetTokens | undefined): FleetTokens {
  return {
    client: inputs.tokens.client ?? kept?.client ?? [newToken()],
    admin: inputs.tokens.admin ?? kept?.admin ?? newToken(),
    peer: kept?.peer ?? newToken(),
  };
}

/** Set tokens win; made ones stay for the fleet's life. */
function tokensOf(state: Props, inputs: FleetInputs): FleetTokens {
  const kept = {
    client: state.clientTokens as string[],
    admin: state.adminToken as string,
    peer: state.peerToken as string,
  };
  return makeTokens(inputs, kept);
}

function stateOf(inputs: Props, tokens: FleetTokens, text: string): Props {
  return {
    ...inputs,
    clientTokens: secret(tokens.client),
    adminToken: secret(tokens.admin),
    peerToken: secret(tokens.peer),
    revision: revision(text),
  };
}
