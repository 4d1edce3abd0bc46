import { randomBytes } from "node:crypto";
import { z } from "zod";
import { HOST_PATHS } from "../../components/host/types.ts";
import { faultsOfKnown } from "../faults.ts";
import {
  type CheckFailure,
  type Diff,
  type Handler,
  Interrupted,
  type Operation,
} from "../handler.ts";
import { differences, type Props, reveal, UNKNOWN } from "../values.ts";
import type { AgentResult, DrainRequest } from "./agent/protocol.ts";
import { AgentMissing, callAgent } from "./agent-call.ts";
import { hostConnection } from "./connection.ts";
import { FORGET_HOSTS, isForgotten } from "./forget.ts";
import { type HostShell, HostUnreachable, type OpenShell } from "./shell.ts";

/** Inputs of `openclaw:host:Drained`. */
const drainedInputs = z.strictObject({
  /** How the host was reached when the stack was last deployed; null: it was not yet. */
  host: hostConnection.nullable(),
  /** Id of the release that was last put on the host; empty: none. */
  artifact: z.string(),
  /** The fleet's name: the stack. */
  fleet: z.string().min(1),
  node: z.string().min(1),
  /** Port on loopback where the node answers; 0: no node runs there (a witness). */
  apiPort: z.number().int().nonnegative(),
  /** What cannot change without a stop of the machine, e.g. its type and image. */
  machine: z.record(z.string(), z.string()),
  adminToken: z.string(),
});
export type DrainedInputs = z.infer<typeof drainedInputs>;

export interface DrainedOptions {
  readonly open: OpenShell;
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * `openclaw:host:Drained`: a node is empty before its machine is stopped. Only an update with another `machine`
 * does something; then `drained` is a new token, by which the node's release knows that the node is to take
 * shards again. It stays as it was where nothing was moved: somebody had set the node aside, nobody could take
 * its shards, or the host is gone and forgotten.
 */
export class DrainedHandler implements Handler {
  readonly #open: OpenShell;
  readonly #env: NodeJS.ProcessEnv;

  constructor({ open, env = process.env }: DrainedOptions) {
    this.#open = open;
    this.#env = env;
  }

  check(_olds: Props | undefined, news: Props): { inputs: Props; failures: CheckFailure[] } {
    return { inputs: news, failures: faultsOfKnown(drainedInputs, reveal(news)) };
  }

  diff(_state: Props, oldInputs: Props, news: Props): Diff {
    // How the host is reached changes with each record of it, and nothing is done for that.
    const changes = differences(reveal(oldInputs), reveal(news)).filter(({ path }) =>
      /^(machine|fleet|node)\b/.test(path),
    );
    const paths = changes.map(({ path }) => path);
    return { changes, replaces: paths.filter((path) => path === "fleet" || path === "node") };
  }

  async create(news: Props) {
    const { fleet, node } = reveal<Pick<DrainedInputs, "fleet" | "node">>(news);
    return { id: `${fleet}/${node}`, state: { ...news, drained: "" } };
  }

  async read(_id: string, state: Props | undefined, inputs: Props | undefined) {
    return state && inputs ? { state, inputs } : null;
  }

  async update(
    _id: string,
    state: Props,
    news: Props,
    op: Operation & { preview: boolean },
  ): Promise<Props> {
    const { machine, drained = "" } = reveal<Partial<DrainedInputs> & { drained?: string }>(state);
    const next = reveal<DrainedInputs>(news);
    if (!next.host || differences(machine, next.machine).length === 0) return { ...news, drained };
    if (op.preview) return { ...news, drained: UNKNOWN };
    const emptied = await this.#drain(drainedInputs.parse(next), next.host, op);
    return { ...news, drained: emptied ? randomBytes(8).toString("hex") : drained };
  }

  async delete(): Promise<void> {
    // Nothing was made.
  }

  /** True when the node was emptied now. */
  async #drain(
    { artifact, fleet, node, apiPort, adminToken }: DrainedInputs,
    host: NonNullable<DrainedInputs["host"]>,
    op: Operation,
  ): Promise<boolean> {
    if (apiPort === 0) return false;
    if (isForgotten(host.name, this.#env)) {
      op.say(`forgotten: node ${node} was not emptied`);
      return false;
    }
    if (op.signal.aborted) throw new Interrupted(`emptying node ${node}`);
    const shell = this.#open(host);
    try {
      const request = {
        verb: "drain",
        fleet,
        node,
        api: { port: apiPort, token: adminToken },
      } as const;
      const { drained = false } = await askAgent(shell, artifact, request, op);
      if (!drained)
        op.say(`node ${node} was left as it is: it rests already, or nobody can take its shards`);
      return drained;
    } catch (error) {
      if (op.signal.aborted) throw new Interrupted(`emptying node ${node}`);
      const { message } = error as Error;
      if (error instanceof AgentMissing && !error.recorded) return false;
      if (!(error instanceof HostUnreachable || error instanceof AgentMissing)) {
        throw new Error(`host ${host.name}: ${message}`);
      }
      throw new Error(
        `${message}\nIts machine was not touched, because node ${node} could not be emptied first. ` +
          `If it does not run any more, run the command again with ${FORGET_HOSTS}=${host.name}: then nothing is asked of it`,
      );
    } finally {
      await shell.close();
    }
  }
}

/**
 * The newest release there that has an agent, by its id. What the stack recorded last may be gone: changes that
 * failed since then put others in its place.
 */
const NEWEST = `for release in $(ls -td "$1"/*/ 2>/dev/null); do
  case $release in *.partial/) continue ;; esac
  test -e "\${release}runtime/host-agent.js" || continue
  basename "$release"
  break
done`;

async function askAgent(
  shell: HostShell,
  artifact: string,
  request: DrainRequest,
  op: Operation,
): Promise<AgentResult> {
  try {
    return await callAgent(shell, artifact, request, op);
  } catch (error) {
    if (!(error instanceof AgentMissing && error.recorded)) throw error;
    const argv = ["sh", "-c", NEWEST, "sh", HOST_PATHS.releases];
    const found = (await shell.exec(argv, { signal: op.signal })).stdout.trim();
    if (found === "") throw error;
    return await callAgent(shell, found, request, op);
  }
}
