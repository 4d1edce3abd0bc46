import type { HostPlan } from "../../../components/host/types.ts";

/**
 * What the deployment and the program on a host say to each other: one {@link AgentRequest} as JSON on its
 * input, then lines of JSON ({@link AgentLine}) on its output, the last of them `done` or `failed`. Secrets
 * travel in the request alone; no line holds one.
 */
export type AgentRequest = ObserveRequest | ApplyRequest | DrainRequest | RemoveRequest;

/** What a request asks for. An agent does nothing for any other word: it may be of a newer deployment. */
export const AGENT_VERBS = [
  "observe",
  "apply",
  "drain",
  "remove",
] as const satisfies AgentRequest["verb"][];

interface Whose {
  /** The fleet's name. A host that carries another one is refused. */
  readonly fleet: string;
  /** The node's id on this host. */
  readonly node: string;
}

/** A plan with what its marks stand for. */
export interface Wanted {
  readonly plan: HostPlan;
  readonly secrets: Readonly<Record<string, string>>;
}

/** What differs from the plan? Changes nothing. */
export interface ObserveRequest extends Whose, Wanted {
  readonly verb: "observe";
}

/** Make the host what the plan says. */
export interface ApplyRequest extends Whose, Wanted {
  readonly verb: "apply";
  /**
   * True while the host is made for the first time: other hosts may be missing, so nothing is asked of the
   * whole fleet.
   */
  readonly first: boolean;
  /**
   * The machine was stopped for this change, or is another one now: what holds at its beginning is no measure of
   * what held before. Missing: it runs as it did.
   */
  readonly restarted?: {
    /** The node was emptied before, so the rest of the fleet is there: it takes shards again. */
    readonly emptied: boolean;
  };
  /**
   * The host may be asked again after the others: one whose shards nobody can take now is left as it runs, with
   * `later` for an answer. @default false
   */
  readonly mayWait?: boolean;
  /** What goes back when the change fails; null when there is none. */
  readonly previous: Wanted | null;
  readonly api: NodeApiAccess | null;
}

/** Move the node's shards away and keep it empty, because its machine is about to be stopped. */
export interface DrainRequest extends Whose {
  readonly verb: "drain";
  readonly api: NodeApiAccess | null;
}

/** Take the fleet's part of the host away. */
export interface RemoveRequest extends Whose {
  readonly verb: "remove";
  /** Directories of data stay, with the users that own them. */
  readonly keepData: boolean;
  /** Move the node's shards away first: the rest of the fleet goes on. */
  readonly drain: boolean;
  readonly api: NodeApiAccess | null;
}

/** How the node on the host is spoken to, on loopback. */
export interface NodeApiAccess {
  readonly port: number;
  readonly token: string;
}

export type AgentLine =
  /** What it does now, for the person who waits. */
  | { readonly say: string }
  /** It goes on. Whoever stops reading these stops it. */
  | { readonly alive: true }
  | { readonly done: AgentResult }
  | { readonly failed: AgentFailure };

export interface AgentResult {
  /** Observe: how each thing differs, by what it is (`file /etc/x`). Empty: it is as planned. */
  readonly differences?: Readonly<Record<string, string>>;
  /** Apply, remove: what was done, in order. Empty: everything was so already. */
  readonly changed?: readonly string[];
  /** Apply: its units were left as they are, since nobody can take the node's shards now. */
  readonly later?: boolean;
  /** Remove: what stays on the host. */
  readonly kept?: readonly string[];
  /** Drain: whether it was emptied now. False: somebody had set it aside, or nobody could take its shards. */
  readonly drained?: boolean;
}

/** The difference of a host whose last change was cut off, or could not go back. */
export const UNFINISHED = { change: "was begun and not finished" } as const;

export interface AgentFailure {
  /** What, why, what to do. */
  readonly message: string;
  /** Whether what was there before is in place again, or nothing had been touched. */
  readonly restored: boolean;
}

/** Places of its own on a host. */
export const AGENT_PLACES = {
  /** What it made, to take exactly that away again. */
  folder: "/var/lib/openclaw-fleet-host",
  record: "/var/lib/openclaw-fleet-host/record.json",
  /** What stood where files of a plan stand now. */
  originals: "/var/lib/openclaw-fleet-host/originals",
  /** One change of a host at a time. */
  lock: "/run/openclaw-fleet-host.lock",
} as const;

/** Exit code of `flock` when another change is under way for longer than one waits. */
export const LOCKED = 75;
