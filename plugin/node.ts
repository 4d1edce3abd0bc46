import { rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname } from "node:path";
import { z } from "zod";
import { type NodeConfig, nodeConfig } from "../gateway/config.ts";
import { failuresOf, refuseIfProtected } from "./faults.ts";
import {
  fleetFile,
  nodeDir,
  nodeFile,
  nodesIn,
  readIfThere,
  readNode,
  writePrivate,
} from "./files.ts";
import {
  type CheckFailure,
  type Diff,
  type Handler,
  Interrupted,
  type Operation,
  PartlyDone,
} from "./handler.ts";
import type { NodeLauncher } from "./launcher.ts";
import {
  drainNode,
  resumeNode,
  STOP_BUDGET_MS,
  untilAnswered,
  untilServing,
  untilUpdated,
} from "./node-steps.ts";
import { differences, type Props, reveal } from "./values.ts";
import { OneByOne, unlessInterrupted, waitFor } from "./wait.ts";

/** Inputs of `openclaw:local:Node`. */
export const nodeInputs = z.strictObject({
  /** The fleet's data directory. */
  dataDir: z.string(),
  /** Name of the node: a, b, … */
  node: nodeConfig.shape.id,
  /** What it runs. A change rolls the node: drain, stop, start, resume. */
  release: nodeConfig.shape.release,
  /** Lowest port of its gateways. */
  gatewayPortBase: z.number().int(),
  /** Refuse to stop it with the whole fleet; a resize may still take it away. */
  protected: z.boolean(),
  /** Cores it may use; the machine's when missing. */
  cores: z.number().positive().optional(),
});
export type NodeInputs = z.infer<typeof nodeInputs>;

/** How long a running node waits for the change of one that does not run. */
const DEAD_FIRST_MS = 5_000;

/** `running`, `dead` (seen by refresh), or `incomplete` (its creation did not end well). */
type NodeState = "running" | "dead" | "incomplete";

/**
 * `openclaw:local:Node`: one node on this machine. New nodes start side by side, so that each takes
 * its share of the shards at once; changes go one node at a time and stop at the first that fails.
 */
export class NodeHandler implements Handler {
  readonly #launcher: NodeLauncher;
  readonly #rolling = new OneByOne();
  readonly #answered = new Map<string, Promise<void>>();
  /** Directories of nodes that did not run when their change came. */
  readonly #restarting = new Set<string>();

  constructor(launcher: NodeLauncher) {
    this.#launcher = launcher;
  }

  check(_olds: Props | undefined, news: Props): { inputs: Props; failures: CheckFailure[] } {
    return { inputs: news, failures: failuresOf(nodeInputs.safeParse(reveal(news)).error) };
  }

  diff(state: Props, oldInputs: Props, news: Props): Diff {
    const changes = differences(reveal(oldInputs), reveal(news));
    const moved = changes.filter(({ path }) => path === "dataDir" || path === "node");
    const {
      state: lived,
      dataDir,
      node,
    } = reveal<Partial<NodeInputs> & { state?: NodeState }>(state);
    // A node may have died since: `pulumi up` without --refresh sees it as `./fleet up` does.
    const died = () =>
      dataDir !== undefined && node !== undefined && !this.#launcher.running(dataDir, node);
    const notRunning = lived !== undefined && (lived !== "running" || died());
    return {
      changes: notRunning ? [...changes, { path: "state", kind: "update" }] : changes,
      replaces: moved.map(({ path }) => path),
      outputOnly: ["state"],
    };
  }

  async create(news: Props, op: Operation & { preview: boolean }) {
    const inputs = nodeInputs.parse(reveal(news));
    const { dataDir, node } = inputs;
    const id = nodeDir(dataDir, node);
    if (op.preview) return { id: "", state: stateOf(news, "running") };
    if (op.signal.aborted) throw new Interrupted(`starting node ${node}`);
    writeNode(inputs);
    op.say("starting");
    try {
      await this.#launcher.start(configOf(inputs));
      await untilServing(this.#launcher, dataDir, node, op);
      await this.#answeredOnce(dataDir, op);
    } catch (error) {
      // It may run: only what is in the state is destroyed later.
      throw new PartlyDone(id, stateOf(news, "incomplete"), (error as Error).message);
    }
    return { id, state: stateOf(news, "running") };
  }

  async read(id: string, state: Props | undefined, inputs: Props | undefined) {
    const dataDir = dirname(dirname(id));
    const node = basename(id);
    if (readIfThere(fleetFile(dataDir)) === null) return null;
    const running: NodeState = this.#launcher.running(dataDir, node) ? "running" : "dead";
    if (state && inputs) {
      const incomplete = state.state === "incomplete" && running === "running";
      return { state: { ...state, state: incomplete ? "incomplete" : running }, inputs };
    }
    const config = readNode(dataDir, node);
    if (!config) return null;
    const { release, gatewayPortBase } = config;
    const imported = { dataDir, node, release, gatewayPortBase, protected: false };
    return { state: stateOf(imported, running), inputs: imported };
  }

  async update(
    _id: string,
    state: Props,
    news: Props,
    op: Operation & { preview: boolean },
  ): Promise<Props> {
    if (op.preview) return stateOf(news, "running");
    const inputs = nodeInputs.parse(reveal(news));
    op.say("waiting for its turn");
    await this.#deadFirst(inputs, op);
    const turn = (mayWait: boolean) =>
      this.#rolling.run(`node ${inputs.node}`, () =>
        this.#roll(reveal(state), inputs, op, mayWait),
      );
    if ((await turn(true)) === "later") {
      op.say("nobody can take its shards now: the other nodes go first");
      await turn(false);
    }
    return stateOf(news, "running");
  }

  /**
   * Lets nodes that do not run have their turn first: a running one that is drained needs somebody to
   * take its shards. The engine hands out all updates at once, so a dead node that is changed too shows
   * within a moment; one that no recorded change restarts keeps nobody waiting for longer.
   */
  async #deadFirst({ dataDir, node }: NodeInputs, op: Operation): Promise<void> {
    if (!this.#launcher.running(dataDir, node)) {
      this.#restarting.add(nodeDir(dataDir, node));
      return;
    }
    const dead = nodesIn(dataDir).filter((id) => !this.#launcher.running(dataDir, id));
    if (dead.length === 0) return;
    await waitFor(
      async () => (dead.every((id) => this.#restarting.has(nodeDir(dataDir, id))) ? true : null),
      { what: "waiting for its turn", deadlineMs: DEAD_FIRST_MS, signal: op.signal },
    );
  }

  async delete(id: string, state: Props, op: Operation): Promise<void> {
    const dataDir = dirname(dirname(id));
    const node = basename(id);
    refuseIfProtected(reveal(state.protected), op, `node ${node} was not stopped`);
    const end = async () => {
      await this.#stop(dataDir, node, op);
      await this.#launcher.forget(dataDir, node);
      rmSync(id, { recursive: true, force: true });
    };
    if (readIfThere(fleetFile(dataDir)) === null) return await end();
    // At the end of the whole fleet nobody needs the shards: nodes stop side by side.
    if (!op.programRuns) return await end();
    await this.#rolling.run(`node ${node}`, async () => {
      if (this.#launcher.running(dataDir, node)) await drainNode(dataDir, node, op);
      await end();
    });
  }

  /**
   * @param mayWait leaves a node whose shards nobody can take as it runs: another may rest since its own change was
   * cut off, which brings it back
   */
  async #roll(
    state: Props,
    inputs: NodeInputs,
    op: Operation,
    mayWait: boolean,
  ): Promise<"done" | "later"> {
    const { dataDir, node } = inputs;
    if (op.signal.aborted) throw new Interrupted(`changing node ${node}`);
    const { state: lived, protected: _, ...before } = state;
    const { protected: __, ...after } = inputs;
    const changed = differences(before, after).length > 0;
    if (!changed && lived === "running" && this.#launcher.running(dataDir, node)) return "done";
    if (changed && this.#launcher.running(dataDir, node)) {
      const emptied = await drainNode(dataDir, node, op);
      if (emptied === "nobody takes" && mayWait) return "later";
      await this.#stop(dataDir, node, op);
    } else if (!this.#launcher.running(dataDir, node)) {
      // What a dead keeper may have left.
      await this.#stop(dataDir, node, op);
    }
    writeNode(inputs);
    op.say("starting");
    await this.#launcher.start(configOf(inputs));
    await untilServing(this.#launcher, dataDir, node, op);
    await resumeNode(dataDir, node, op);
    await untilUpdated(dataDir, op);
    await untilAnswered(dataDir, op);
    return "done";
  }

  /** A node that was asked to stop does so by itself, whether or not somebody waits. */
  async #stop(dataDir: string, node: string, op: Operation): Promise<void> {
    op.say("stopping");
    const stopping = this.#launcher.stop(dataDir, node, STOP_BUDGET_MS);
    await unlessInterrupted(stopping, `stopping node ${node}`, op.signal);
  }

  /** One turn is enough for all nodes that start together. */
  #answeredOnce(dataDir: string, op: Operation): Promise<void> {
    const asked = this.#answered.get(dataDir) ?? untilAnswered(dataDir, op);
    this.#answered.set(dataDir, asked);
    return asked;
  }
}

function configOf(inputs: NodeInputs): NodeConfig {
  return nodeConfig.parse({
    version: 1,
    id: inputs.node,
    dataDir: inputs.dataDir,
    release: inputs.release,
    gatewayPortBase: inputs.gatewayPortBase,
    cores: inputs.cores ?? availableParallelism(),
  });
}

function writeNode(inputs: NodeInputs): void {
  const text = `${JSON.stringify(configOf(inputs), null, 2)}\n`;
  writePrivate(nodeFile(inputs.dataDir, inputs.node), text);
}

function stateOf(inputs: Props, state: NodeState): Props {
  return { ...inputs, state };
}
