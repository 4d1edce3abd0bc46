import { randomUUID } from "node:crypto";
import type { EtcdClient } from "./etcd-client.ts";
import { type Keys, type Meta, readState, type State, storeIdOf } from "./etcd-rows.ts";
import {
  type Compare,
  encode,
  type Operation,
  put,
  type RangeResponse,
  type TxnRequest,
  type TxnResponse,
  unchanged,
  under,
} from "./etcd-wire.ts";
import { StoreUnavailable } from "./store.ts";

/** What an operation makes of the state: an answer as it is, or writes if nothing it looked at changes. */
export type Decision<T> =
  | { answer: T }
  | {
      /** Revisions at which the keys that were looked at must still stand; "0": absent. */
      looked: [key: string, modRevision: string][];
      writes: Operation[];
      /** True for a state in which the writes of this operation are found. */
      done(after: State): boolean;
      answer(after: State): T;
    };

/**
 * The state of one fleet in etcd and how it is changed: decided on what the last answer said, written in one
 * transaction that compares what it was decided on and which store this is, brought back anew with each answer.
 */
export class EtcdTransactions {
  readonly #client: EtcdClient;
  readonly #keys: Keys;
  readonly #timeoutMs: number;
  readonly #warn: (message: string) => void;
  #state: State | null = null;
  /** Highest revision seen, per store id. */
  readonly #seen = new Map<string, number>();

  constructor(client: EtcdClient, keys: Keys, timeoutMs: number, warn: (message: string) => void) {
    this.#client = client;
    this.#keys = keys;
    this.#timeoutMs = timeoutMs;
    this.#warn = warn;
  }

  /**
   * Gives the store a name, as that of a new fleet or as one that may have forgotten everything; false when it
   * has one.
   */
  async create(pristine: boolean): Promise<boolean> {
    const until = this.#deadline();
    const { header } = await this.#range(until);
    const meta: Meta = { id: randomUUID(), pristine, home: header.cluster_id ?? "" };
    const { state } = await this.#txn(
      {
        compare: [absent(this.#keys.meta)],
        success: [put(this.#keys.meta, meta)],
        failure: [],
      },
      until,
    );
    return state.meta?.id === meta.id;
  }

  #deadline(): number {
    return performance.now() + this.#timeoutMs;
  }

  /** Everything as it is now. */
  async read(): Promise<State> {
    return this.#fresh(this.#deadline());
  }

  /**
   * Decides, writes if what it was decided on still stands, and decides anew if not. `from` "now" when
   * the decision depends on what is not compared.
   */
  async change<T>(
    decide: (state: State, op: string) => Decision<T>,
    from: "memory" | "now" = "memory",
  ): Promise<T> {
    const until = this.#deadline();
    const op = randomUUID();
    const known = from === "memory" ? this.#state : null;
    let state = known ?? (await this.#fresh(until));
    let current = known === null;
    for (;;) {
      const decision = decide(state, op);
      if (!("writes" in decision)) {
        // An answer without a write holds for a state of now only.
        if (current) return decision.answer;
        state = await this.#fresh(until);
        current = true;
        continue;
      }
      const compare = decision.looked.map(([key, revision]) => unchanged(key, revision));
      const sent = await this.#txn(
        {
          compare: [same(this.#keys.meta, state), ...compare],
          success: decision.writes,
          failure: [],
        },
        until,
      );
      // A restored copy has the name of what it was copied from, in another cluster: what was compared
      // there fits, and means nothing.
      const here = sameStore(sent.state, state);
      if (here && (sent.succeeded || decision.done(sent.state))) return decision.answer(sent.state);
      state = sent.state.meta ? sent.state : await this.#fresh(until);
      current = true;
    }
  }

  /** Everything as it is now, in a store that has a name. One that was there and is gone gets another name. */
  async #fresh(until: number): Promise<State> {
    for (;;) {
      const state = await this.#range(until).then((response) => this.#note(response, until));
      if (state.meta) return state;
      // Who has never seen it cannot know whether there never was one, or everything was lost.
      if (this.#seen.size === 0) {
        throw new StoreUnavailable(
          `etcd holds no lease store of this fleet (${this.#keys.state}); whoever makes the fleet founds it: \`./fleet up\` does`,
        );
      }
      this.#warn(
        `etcd holds nothing of this fleet (${this.#keys.state}); a new lease store begins there`,
      );
      await this.#name(absent(this.#keys.meta), until);
    }
  }

  async #range(until: number): Promise<RangeResponse & { seen: Map<string, number> }> {
    const seen = new Map(this.#seen);
    const body = under(this.#keys.state);
    const response = await this.#client.call<RangeResponse>("/v3/kv/range", body, left(until));
    return { ...response, seen };
  }

  async #txn(request: TxnRequest, until: number): Promise<{ succeeded: boolean; state: State }> {
    const seen = new Map(this.#seen);
    const everything = { request_range: under(this.#keys.state) };
    const response = await this.#client.call<TxnResponse>(
      "/v3/kv/txn",
      {
        compare: request.compare,
        success: [...request.success, everything],
        failure: [...request.failure, everything],
      },
      left(until),
    );
    const range = response.responses?.at(-1)?.response_range;
    if (!range) throw new StoreUnavailable("etcd answered a transaction without its last result");
    // Only the outer header names the cluster.
    const all = { ...range, header: response.header, seen };
    return {
      succeeded: response.succeeded === true,
      state: await this.#note(all, until),
    };
  }

  /**
   * Remembers an answer. Its revision being lower than one seen before the question was sent means that
   * an older content was put in the place of the newer: it gets a new name, and counts as not done.
   */
  async #note(
    response: RangeResponse & { seen: Map<string, number> },
    until: number,
  ): Promise<State> {
    const state = readState(this.#keys, response);
    if (!state.meta) return state;
    const id = storeIdOf(state);
    if (state.revision < (response.seen.get(id) ?? 0)) {
      this.#state = null;
      await this.#name(same(this.#keys.meta, state), until);
      throw new StoreUnavailable(
        "etcd holds less than it did before (an older content was put in its place); it now counts as another store",
      );
    }
    this.#seen.set(id, Math.max(state.revision, this.#seen.get(id) ?? 0));
    const known = this.#state;
    if (!known || !sameStore(known, state) || known.revision <= state.revision) this.#state = state;
    return state;
  }

  /** Gives the store a name that nobody has seen before, if it is still as expected. */
  async #name(expected: Compare, until: number): Promise<void> {
    const meta: Meta = { id: randomUUID(), pristine: false, home: "" };
    const request = {
      compare: [expected],
      success: [put(this.#keys.meta, meta)],
      failure: [],
    };
    await this.#client.call("/v3/kv/txn", request, left(until));
  }
}

const absent = (key: string): Compare => ({
  key: encode(key),
  target: "CREATE",
  result: "EQUAL",
  create_revision: "0",
});

/** By its value: in a store made anew, revisions start over. */
const same = (key: string, { metaBytes }: State): Compare => ({
  key: encode(key),
  target: "VALUE",
  result: "EQUAL",
  value: metaBytes,
});

const sameStore = (a: State, b: State) => storeIdOf(a) === storeIdOf(b);

function left(until: number): number {
  const ms = until - performance.now();
  if (ms <= 0) throw new StoreUnavailable("etcd took too long in all");
  return ms;
}
