import { randomBytes } from "node:crypto";
import { refuseIfProtected } from "../faults.ts";
import { type Diff, type Handler, Interrupted, type Operation, PartlyDone } from "../handler.ts";
import { type Props, reveal, UNKNOWN } from "../values.ts";
import { OneByOne } from "../wait.ts";
import {
  type AgentRequest,
  type AgentResult,
  type NodeApiAccess,
  UNFINISHED,
} from "./agent/protocol.ts";
import { AgentError, AgentMissing, callAgent } from "./agent-call.ts";
import { onceAborted } from "./child.ts";
import { pinned } from "./connection.ts";
import { howToForget, isForgotten } from "./forget.ts";
import { untilStarted, whileItBoots } from "./machine.ts";
import {
  ADMIN_TOKEN,
  checkRelease,
  concernsHost,
  machineChange,
  type ReleaseInputs,
  releaseChanges,
  releaseInputs,
} from "./release-inputs.ts";
import {
  type HostConnection,
  type HostShell,
  HostUnreachable,
  type OpenShell,
  type Patience,
} from "./shell.ts";

/** What the state holds besides the inputs. */
interface Made {
  /** `incomplete`: its creation did not end well. */
  readonly state: "ready" | "incomplete";
  /** What is another than planned, by what it is: as refresh found it, or a change did not end well. */
  readonly drift: Readonly<Record<string, string>>;
  /** Another one after each change of the host. */
  readonly revision: string;
  /** The host's public key, as first seen; only it is accepted later. */
  readonly hostKey: string;
}

/** How far a call got. */
interface Reached {
  /** The host's key; null: it was not reached, so nothing was done there. */
  hostKey: string | null;
  /** Something may have been done there, and not undone. */
  unfinished: boolean;
}

type Whole = ReleaseInputs & Partial<Made>;

/** Pulumi keeps the state of what it could not delete: by that, a host that is put back is as it was. */
const toStay = ({ fleet }: Pick<Whole, "fleet">): string =>
  ` (if it is to stay after all: put it back, then ./fleet refresh --stack ${fleet} before the next up)`;

export interface ReleaseOptions {
  readonly open: OpenShell;
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * `openclaw:host:Release`: one host as its plan says. The work is done by the agent on the host (agent/),
 * which comes with the release; here it is decided what is asked of it and what its answers mean to Pulumi.
 * New hosts are made side by side, since a store of several members starts when most of them are there.
 * Changes go one host at a time and stop at the first that fails, whatever the engine hands out at once; one that was
 * never reached is as it was, and stops nothing but its own step.
 */
export class ReleaseHandler implements Handler {
  readonly #open: OpenShell;
  readonly #env: NodeJS.ProcessEnv;
  readonly #rolling = new OneByOne();

  constructor({ open, env = process.env }: ReleaseOptions) {
    this.#open = open;
    this.#env = env;
  }

  check(_olds: Props | undefined, news: Props) {
    return checkRelease(news);
  }

  diff(state: Props, oldInputs: Props, news: Props): Diff {
    const changes = releaseChanges(oldInputs, news);
    const made = reveal<Partial<Made>>(state);
    const drifted = Object.keys(made.drift ?? {}).length > 0;
    const seen = [...(drifted ? ["drift"] : []), ...(made.state === "incomplete" ? ["state"] : [])];
    return {
      changes: [...changes, ...seen.map((path) => ({ path, kind: "update" }) as const)],
      replaces: changes
        .map(({ path }) => path)
        .filter((path) => ["fleet", "node", "host.name"].includes(path)),
      outputOnly: seen,
    };
  }

  async create(news: Props, op: Operation & { preview: boolean }) {
    if (op.preview) return { id: "", state: stateOf(news, { revision: UNKNOWN }) };
    const inputs = releaseInputs.parse(reveal(news));
    const id = `${inputs.fleet}/${inputs.node}`;
    const reached: Reached = { hostKey: null, unfinished: false };
    try {
      await this.#apply(inputs, null, op, reached);
    } catch (error) {
      const { hostKey } = reached;
      if (hostKey === null) throw error;
      // Something may be there: only what is in the state is taken away later.
      const state = stateOf(news, { state: "incomplete", hostKey });
      throw new PartlyDone(id, state, (error as Error).message);
    }
    return { id, state: stateOf(news, { hostKey: reached.hostKey ?? "" }) };
  }

  async read(_id: string, state: Props | undefined, inputs: Props | undefined) {
    // A plan cannot be read off a host: there is nothing to import.
    if (!state || !inputs) return null;
    const whole = reveal<Whole>(state);
    const { fleet, node, plan, secrets } = whole;
    const request = { verb: "observe", fleet, node, plan, secrets } as const;
    try {
      const { differences = {} } = await this.#call(whole, request);
      if (differences.host !== undefined) return null;
      return { state: { ...state, drift: differences }, inputs };
    } catch (error) {
      if (error instanceof AgentMissing) {
        return error.recorded
          ? { state: { ...state, drift: { release: error.message } }, inputs }
          : null;
      }
      if (!(error instanceof HostUnreachable || error instanceof AgentError)) throw error;
      // One host that is away must not keep the others from being looked at.
      return { state: { ...state, drift: { host: error.message } }, inputs };
    }
  }

  async update(
    id: string,
    state: Props,
    news: Props,
    op: Operation & { preview: boolean },
  ): Promise<Props> {
    const olds = reveal<Whole>(state);
    const kept = { revision: olds.revision, hostKey: olds.hostKey };
    const changes = releaseChanges(withoutMade(olds), news);
    const drifted = Object.keys(olds.drift ?? {}).length > 0 || olds.state === "incomplete";
    if (!drifted && !concernsHost(changes)) return stateOf(news, kept);
    if (op.preview) return stateOf(news, { ...kept, revision: UNKNOWN });
    const inputs = releaseInputs.parse(reveal(news));
    const reached: Reached = { hostKey: null, unfinished: false };
    // What does not run may be what the others wait for: a store needs most of its members to start.
    const stands = changes.length === 0 && someUnitIsDown(olds);
    try {
      if (olds.state === "incomplete" || stands) await this.#apply(inputs, olds, op, reached);
      else await this.#applyInTurn(inputs, olds, op, reached);
    } catch (error) {
      if (!reached.unfinished) throw error;
      // Pulumi keeps the old inputs. Without this the way back to them would be no change.
      const drift = { ...olds.drift, ...UNFINISHED };
      throw new PartlyDone(id, { ...state, drift }, (error as Error).message);
    }
    return stateOf(news, { hostKey: reached.hostKey ?? "" });
  }

  /**
   * In its turn, and in a second one behind the others where nobody can take its shards in the first: one of them
   * may rest since a change was cut off, and theirs brings it back.
   */
  async #applyInTurn(
    inputs: ReleaseInputs,
    olds: Whole,
    op: Operation,
    reached: Reached,
  ): Promise<void> {
    const { fresh, restarted } = machineChange(olds, inputs);
    // Unless its machine was changed before: then it may be that change that it did not come back from.
    const asItWas = () => reached.hostKey === null && !fresh && !restarted;
    const turn = (mayWait: boolean) =>
      this.#inTurn(inputs, op, () => this.#apply(inputs, olds, op, reached, mayWait), asItWas);
    const { later = false, changed = [] } = await turn(true);
    if (!later) return;
    reached.unfinished = changed.length > 0;
    op.say("nobody can take its shards now: the other hosts go first");
    await turn(false);
  }

  async delete(_id: string, state: Props, op: Operation): Promise<void> {
    const whole = reveal<Whole>(state);
    const { host } = whole;
    refuseIfProtected(whole.protected, op, `host ${host.name} was not touched`);
    if (isForgotten(host.name, this.#env)) {
      op.say(`forgotten: ${leftBehind(whole)}`);
      return;
    }
    const work = () => this.#remove(whole, op);
    // At the end of the whole fleet nobody needs the shards: hosts go side by side.
    await (op.programRuns ? this.#inTurn(whole, op, work) : work());
  }

  async #remove(whole: Whole, op: Operation): Promise<void> {
    const { host, fleet, node, keepData } = whole;
    const request: AgentRequest = {
      verb: "remove",
      fleet,
      node,
      keepData,
      drain: op.programRuns,
      api: apiOf(whole),
    };
    let reached = false;
    try {
      const { kept = [] } = await this.#with(pinned(host, whole), {}, async (shell) => {
        op.signal.throwIfAborted();
        // Connects: what fails after it may have begun there.
        await onceAborted(shell.hostKey?.() ?? Promise.resolve(""), op.signal);
        reached = true;
        return await callAgent(shell, whole.artifact, request, op);
      });
      if (kept.length > 0) op.say(`kept: ${kept.join(", ")}`);
    } catch (error) {
      if (error instanceof AgentMissing && !error.recorded) return;
      const advice = op.programRuns ? toStay(whole) : "";
      if (op.signal.aborted) {
        throw new Interrupted(`taking the fleet off host ${host.name}${advice}`);
      }
      const { message } = error as Error;
      const forget = howToForget(host.name);
      const left = leftBehind(whole);
      if (error instanceof AgentMissing || (error instanceof HostUnreachable && !reached)) {
        throw new Error(
          `${message}\nNothing was removed there. ${forget}, and there stays: ${left}`,
        );
      }
      if (error instanceof HostUnreachable) {
        throw new Error(
          `${message}\nWhat was begun there may be half done${advice}. ${forget}, and there may stay: ${left}`,
        );
      }
      throw new Error(`host ${host.name}: ${message}${advice}`);
    }
  }

  #inTurn<T>(
    { host }: Pick<Whole, "host">,
    op: Operation,
    work: () => Promise<T>,
    untouched?: () => boolean,
  ): Promise<T> {
    op.say("waiting for its turn");
    return this.#rolling.run(`host ${host.name}`, work, untouched);
  }

  /**
   * Brings a host to its plan.
   * @param olds what the state holds; null when it is made
   * @param mayWait see {@link AgentRequest}
   */
  async #apply(
    inputs: ReleaseInputs,
    olds: Whole | null,
    op: Operation,
    reached: Reached,
    mayWait = false,
  ): Promise<AgentResult> {
    const { host, fleet, node, plan, secrets } = inputs;
    if (op.signal.aborted) throw new Interrupted(`changing host ${host.name}`);
    const { fresh, restarted } = machineChange(olds, inputs);
    const first = olds === null || olds.state === "incomplete" || fresh;
    const request: AgentRequest = {
      verb: "apply",
      fleet,
      node,
      plan,
      secrets,
      first,
      api: apiOf(inputs),
      previous: first ? null : { plan: olds.plan, secrets: olds.secrets },
      ...(restarted ? { restarted } : {}),
      ...(mayWait ? { mayWait } : {}),
    };
    op.say("looking at the host");
    const known = pinned(host, olds ?? {});
    try {
      return await this.#with(known, whileItBoots(op), async (shell) => {
        await untilStarted(shell, host, op);
        reached.hostKey = (await shell.hostKey?.()) ?? known.hostKey ?? "";
        return await callAgent(shell, inputs.artifact, request, op);
      });
    } catch (error) {
      const undone =
        error instanceof AgentMissing || (error instanceof AgentError && error.restored);
      reached.unfinished = reached.hostKey !== null && !undone;
      if (op.signal.aborted) throw new Interrupted(`changing host ${host.name}`);
      if (error instanceof HostUnreachable) throw error;
      throw new Error(`host ${host.name}: ${(error as Error).message}`);
    }
  }

  /** Asks the host as it was reached last. */
  #call(whole: Whole, request: AgentRequest): Promise<AgentResult> {
    return this.#with(pinned(whole.host, whole), {}, (shell) =>
      callAgent(shell, whole.artifact, request),
    );
  }

  async #with<T>(
    host: HostConnection,
    patience: Patience,
    work: (shell: HostShell) => Promise<T>,
  ): Promise<T> {
    const shell = this.#open(host, patience);
    try {
      return await work(shell);
    } finally {
      await shell.close();
    }
  }
}

function apiOf({
  apiPort,
  secrets,
}: Pick<ReleaseInputs, "apiPort" | "secrets">): NodeApiAccess | null {
  const token = secrets[ADMIN_TOKEN];
  return apiPort > 0 && token ? { port: apiPort, token } : null;
}

/** Whether refresh found a unit that should run and does not. */
function someUnitIsDown({ drift = {} }: Whole): boolean {
  return Object.entries(drift).some(([what, how]) => what.startsWith("unit ") && /^is /.test(how));
}

/** What a host that is forgotten still has. */
function leftBehind({ host, plan }: Pick<Whole, "host" | "plan">): string {
  const units = Object.entries(plan.units).flatMap(([name, u]) => (u.content ? [name] : []));
  const folders = Object.keys(plan.directories);
  return `on ${host.name} (${host.address}) units ${units.join(", ") || "none"}; folders ${folders.join(", ") || "none"}`;
}

function withoutMade({
  state: _,
  drift: __,
  revision: ___,
  hostKey: ____,
  ...inputs
}: Whole): Props {
  return inputs as Props;
}

function stateOf(inputs: Props, made: Partial<Made>): Props {
  return {
    ...inputs,
    state: made.state ?? "ready",
    drift: made.drift ?? {},
    revision: made.revision ?? randomBytes(8).toString("hex"),
    hostKey: made.hostKey ?? "",
  };
}
