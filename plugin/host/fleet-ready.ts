import { z } from "zod";
import { CHECK_TURN } from "../../gateway/readiness.ts";
import { faultsOfKnown } from "../faults.ts";
import {
  type CheckFailure,
  type Diff,
  type Handler,
  Interrupted,
  type Operation,
  PartlyDone,
} from "../handler.ts";
import { seeAlso } from "../see-also.ts";
import { differences, type Props, reveal } from "../values.ts";
import { waitFor } from "../wait.ts";
import { ask } from "./ask.ts";
import { hostConnection } from "./connection.ts";
import { type FleetLook, lookAtFleet, openFront } from "./fleet-look.ts";
import { HostUnreachable, type OpenShell } from "./shell.ts";

/** Inputs of `openclaw:host:Fleet`. */
const fleetReadyInputs = z.strictObject({
  fleet: z.string().min(1),
  /** Where people reach it: its front door. */
  endpoint: z.url({ protocol: /^https?$/ }),
  /** Where else, when no connection is made there. */
  otherFronts: z.array(z.url({ protocol: /^https?$/ })).default([]),
  /** The fleet's own authority, PEM: trusted besides what this machine trusts. Empty: nothing besides. */
  caCertificate: z.string(),
  /** Ids of the nodes that have to be there. */
  nodes: z.array(z.string()).min(1),
  /** Ids of the shards that have to be served. */
  shards: z.array(z.string()).min(1),
  adminToken: z.string().min(1),
  clientToken: z.string().min(1),
  /** How each host is reached, by the node's id; its journal is shown when it is missing. */
  hosts: z.record(z.string(), hostConnection),
  /** The node's systemd unit. */
  unit: z.string(),
  /**
   * Says on a host, by this command, that the fleet is new: once everything is made, and until it has served for
   * the first time. Null: nothing has to be told. What is there already is not touched by it.
   */
  founding: z.strictObject({ host: z.string(), argv: z.array(z.string()).min(1) }).nullable(),
  /** `revision` of each host's release: after a change of one the fleet has to prove itself again. */
  releases: z.record(z.string(), z.string()),
});
export type FleetReadyInputs = z.infer<typeof fleetReadyInputs>;

/** As for a fleet on one machine (plugin/node-steps.ts): boots on small hosts go one by one. */
const READY_MS = 300_000;
const READY_PER_SHARD_MS = 60_000;
/** The first turn of a fresh gateway takes seconds; a model may take more. */
const FIRST_TURN_MS = 120_000;
/** A front takes some seconds to find that a router is well; then a turn gets through or it does not. */
const FRONT_SETTLES_MS = 30_000;
/** Nodes take settings over in seconds, and routers know what became of it soon after. */
const REFUSED_MS = 20_000;
const LOG_LINES = 15;
const QUESTION = { agent: "main", ...CHECK_TURN };

export interface FleetReadyOptions {
  readonly open: OpenShell;
  /** Longest waits, ms; for tests. */
  readonly readyMs?: number;
  readonly settleMs?: number;
  readonly refusedMs?: number;
}

/**
 * `openclaw:host:Fleet`: makes nothing on any host. It is there when every node has joined, every shard serves
 * and one real chat turn was answered through the front door; its `state` says what refresh finds.
 */
export class FleetReadyHandler implements Handler {
  readonly #options: FleetReadyOptions;

  constructor(options: FleetReadyOptions) {
    this.#options = options;
  }

  check(_olds: Props | undefined, news: Props): { inputs: Props; failures: CheckFailure[] } {
    return { inputs: news, failures: faultsOfKnown(fleetReadyInputs, reveal(news)) };
  }

  diff(state: Props, oldInputs: Props, news: Props): Diff {
    const changes = differences(reveal(oldInputs), reveal(news));
    const well = reveal(state.state) === "serving";
    return {
      changes: well ? changes : [...changes, { path: "state", kind: "update" }],
      replaces: changes.map(({ path }) => path).filter((path) => path === "fleet"),
      outputOnly: ["state"],
    };
  }

  async create(news: Props, op: Operation & { preview: boolean }) {
    if (op.preview) return { id: "", state: { ...news, state: "serving", founded: true } };
    const inputs = fleetReadyInputs.parse(reveal(news));
    try {
      await this.#found(inputs, op);
      await this.#prove(inputs, op);
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      const { message } = error as Error;
      throw new PartlyDone(inputs.fleet, { ...news, state: "not proved", founded: false }, message);
    }
    return { id: inputs.fleet, state: { ...news, state: "serving", founded: true } };
  }

  async read(_id: string, state: Props | undefined, inputs: Props | undefined) {
    if (!state || !inputs) return null;
    const parsed = fleetReadyInputs.parse(reveal(inputs));
    const { missing } = await lookAtFleet(parsed, new AbortController().signal);
    return { state: { ...state, state: missing ?? "serving" }, inputs };
  }

  async update(
    _id: string,
    state: Props,
    news: Props,
    op: Operation & { preview: boolean },
  ): Promise<Props> {
    if (op.preview) return { ...news, state: "serving" };
    const inputs = fleetReadyInputs.parse(reveal(news));
    if (reveal(state.founded) !== true) await this.#found(inputs, op);
    await this.#prove(inputs, op);
    return { ...news, state: "serving", founded: true };
  }

  async delete(): Promise<void> {
    // Nothing was made.
  }

  /** The stores cannot know by themselves whether they are new or have forgotten everything. */
  async #found({ founding, hosts, fleet }: FleetReadyInputs, { signal, say }: Operation) {
    const connection = founding && hosts[founding.host];
    if (!connection) return;
    say("founding");
    const shell = this.#options.open(connection);
    try {
      const { code, stderr } = await shell.exec(founding.argv, { signal });
      if (code !== 0) throw new Error(`fleet ${fleet} could not be founded: ${stderr.trim()}`);
    } finally {
      await shell.close();
    }
  }

  async #prove(inputs: FleetReadyInputs, op: Operation): Promise<void> {
    const { signal } = op;
    const { readyMs = READY_MS + READY_PER_SHARD_MS * inputs.shards.length } = this.#options;
    const { refusedMs = REFUSED_MS } = this.#options;
    let refusedSince: number | null = null;
    let last: FleetLook = {
      ...{ missing: "nobody was asked yet", nodes: [] },
      ...{ hopeless: false, refuses: false },
    };
    const ready = await waitFor(
      async () => {
        const seen = await lookAtFleet(inputs, signal);
        if (seen.missing !== null && seen.missing !== last.missing)
          op.say(`waiting: ${seen.missing}`);
        last = seen;
        const now = performance.now();
        refusedSince = seen.refuses ? (refusedSince ?? now) : null;
        const stands = refusedSince !== null && now - refusedSince >= refusedMs;
        return seen.missing === null || seen.hopeless || stands ? true : null;
      },
      { what: `waiting for fleet ${inputs.fleet}`, deadlineMs: readyMs, signal, everyMs: 1_000 },
    );
    if (!ready || last.missing !== null) {
      const log = await this.#logs(inputs, last.nodes, signal);
      throw new Error(`fleet ${inputs.fleet} does not serve: ${last.missing}. ${log}`);
    }
    op.say("asking for a first answer");
    await this.#answer(inputs, signal);
  }

  async #answer(inputs: FleetReadyInputs, signal: AbortSignal): Promise<void> {
    let fault = "";
    let front = inputs.endpoint;
    const answered = await waitFor(
      async () => {
        front = await openFront(inputs);
        const { body, fault: against } = await ask(new URL("/api/v1/chat", front), {
          method: "POST",
          token: inputs.clientToken,
          body: QUESTION,
          ca: inputs.caCertificate,
          timeoutMs: FIRST_TURN_MS,
          signal,
        });
        fault = against;
        if (against !== "") return null;
        const { reply } = (body ?? {}) as { reply?: unknown };
        if (typeof reply === "string" && reply !== "") return true;
        fault = "the answer held no text";
        return null;
      },
      {
        what: "asking for a first answer",
        deadlineMs: this.#options.settleMs ?? FRONT_SETTLES_MS,
        signal,
        everyMs: 1_000,
      },
    );
    if (answered) return;
    throw new Error(
      `all shards serve, but a chat through ${front} got no answer: ${fault}. ` +
        `Check openclaw-fleet:models and its keys. ${seeAlso(inputs.fleet, "logs")}`,
    );
  }

  /** What the journals of missing nodes say, for the error. */
  async #logs(
    { hosts, unit, fleet }: FleetReadyInputs,
    nodes: readonly string[],
    signal: AbortSignal,
  ) {
    const argv = ["journalctl", "--unit", unit, "--lines", String(LOG_LINES)];
    const parts: string[] = [];
    for (const node of nodes) {
      const connection = hosts[node];
      if (!connection) continue;
      const shell = this.#options.open(connection);
      try {
        const all = [...argv, "--output", "cat", "--no-pager", "--quiet"];
        const { stdout } = await shell.exec(all, { signal });
        parts.push(`Last lines of ${node}:\n${stdout.trim() || "(none)"}`);
      } catch (error) {
        if (!(error instanceof HostUnreachable)) throw error;
        parts.push(error.message);
      } finally {
        await shell.close();
      }
    }
    return parts.length > 0 ? parts.join("\n") : seeAlso(fleet, "status", "logs");
  }
}
