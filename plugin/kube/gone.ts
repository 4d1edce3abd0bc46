import { z } from "zod";
import { failuresOf } from "../faults.ts";
import type { CheckFailure, Diff, Handler, Operation } from "../handler.ts";
import { differences, type Props, reveal, UNKNOWN } from "../values.ts";
import { waitFor } from "../wait.ts";
import { ApiRefusal, apiAccess, KubeApi, type Listing } from "./api.ts";

/** Inputs of `openclaw:kube:Gone`. */
export const goneInputs = apiAccess.extend({
  /** `v1`, `karpenter.sh/v1`. */
  apiVersion: z.string().min(1),
  /** `NodeClaim`. */
  kind: z.string().min(1),
  /** Of one namespace; every one when missing. */
  namespace: z.string().min(1).optional(),
  /** Kubernetes label selector; every object when missing. */
  labelSelector: z.string().min(1).optional(),
  /** Longest wait. */
  deadlineSeconds: z.number().positive(),
});
export type GoneInputs = z.infer<typeof goneInputs>;

/** Names in a message, before it says how many more. */
const NAMES = 5;

/**
 * `openclaw:kube:Gone`: makes nothing. Its *delete* waits until no such object is left in a cluster,
 * because `pulumi destroy` runs no program that could wait: what is waited for depends on this
 * resource and is deleted before it; this one depends on the controller that does the work.
 */
export class GoneHandler implements Handler {
  readonly #everyMs: number;

  constructor(everyMs = 3_000) {
    this.#everyMs = everyMs;
  }

  check(_olds: Props | undefined, news: Props): { inputs: Props; failures: CheckFailure[] } {
    const revealed = reveal<Props>(news);
    const failures = failuresOf(goneInputs.safeParse(revealed).error);
    const { endpoint } = revealed;
    if (typeof endpoint === "string" && endpoint !== UNKNOWN && !isHttps(endpoint)) {
      failures.push({ property: "endpoint", reason: `${endpoint} is no https URL` });
    }
    // A value that another resource is still to make is looked at when it is there.
    return { inputs: news, failures: failures.filter((f) => revealed[f.property] !== UNKNOWN) };
  }

  diff(_state: Props, oldInputs: Props, news: Props): Diff {
    return { changes: differences(reveal(oldInputs), reveal(news)), replaces: [] };
  }

  async create(news: Props, { preview }: Operation & { preview: boolean }) {
    const { cluster, kind, namespace, labelSelector } = reveal<Partial<GoneInputs>>(news);
    const id = [cluster, namespace, kind, labelSelector].filter(Boolean).join("/");
    return { id: preview ? "" : id, state: news };
  }

  async read(_id: string, state: Props | undefined, inputs: Props | undefined) {
    return state && inputs ? { state, inputs } : null;
  }

  async update(_id: string, _state: Props, news: Props): Promise<Props> {
    return news;
  }

  async delete(_id: string, state: Props, op: Operation): Promise<void> {
    const inputs = goneInputs.parse(reveal(state));
    const { cluster, kind, deadlineSeconds } = inputs;
    const api = new KubeApi(inputs);
    const began = performance.now();
    /** What the last look saw: names, or why it saw nothing. */
    let last: string[] | Error = [];
    const gone = await waitFor(
      async () => {
        try {
          last = await api.names(listingOf(inputs), op.signal);
        } catch (error) {
          if (isFinal(error)) throw refused(inputs, error as Error);
          // Also an API that is upgraded, or a network that flickers.
          last = error as Error;
        }
        if (!(last instanceof Error) && last.length === 0) return true;
        const seconds = Math.floor((performance.now() - began) / 1000);
        op.say(`${progress(kind, last)} (${seconds} s of ${deadlineSeconds} s)`);
        return null;
      },
      {
        what: `waiting until no ${kind} is left in ${cluster}`,
        deadlineMs: deadlineSeconds * 1000,
        signal: op.signal,
        everyMs: this.#everyMs,
      },
    );
    if (!gone) throw last instanceof Error ? unreachable(inputs, last) : left(inputs, last);
  }
}

function listingOf({ apiVersion, kind, namespace, labelSelector }: GoneInputs): Listing {
  return {
    apiVersion,
    kind,
    ...(namespace ? { namespace } : {}),
    ...(labelSelector ? { labelSelector } : {}),
  };
}

function isHttps(text: string): boolean {
  return URL.canParse(text) && new URL(text).protocol === "https:";
}

/** Nothing that waiting mends: no right to look, or no way to get a token. */
function isFinal(error: unknown): boolean {
  if (error instanceof ApiRefusal) return error.status === 401 || error.status === 403;
  // Network errors carry a code; what this provider says itself does not.
  return !(error instanceof Error && ("code" in error || /^no answer in/.test(error.message)));
}

function progress(kind: string, seen: readonly string[] | Error): string {
  if (seen instanceof Error) return `cannot see ${kind}s: ${reason(seen)}`;
  return `waiting for ${seen.length} ${kind}${seen.length === 1 ? "" : "s"}: ${some(seen)}`;
}

function some(names: readonly string[]): string {
  const rest = names.length - NAMES;
  return `${names.slice(0, NAMES).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

/** A refused connection to several addresses has its reason inside. */
function reason(error: Error): string {
  const inner = error instanceof AggregateError ? error.errors[0] : undefined;
  return inner instanceof Error ? inner.message : error.message;
}

function refused({ cluster, kind }: GoneInputs, error: Error): Error {
  if (error instanceof ApiRefusal) {
    const who = "Run destroy as one of openclaw-fleet:cluster.admins, whose access still exists";
    return new Error(
      `cluster ${cluster} lets nobody see its ${kind}s who is asked as now (${error.message}). ${who}`,
    );
  }
  return new Error(`cannot wait for ${kind}s of cluster ${cluster}: ${error.message}`);
}

function unreachable(inputs: GoneInputs, error: Error): Error {
  const { cluster, endpoint, kind, deadlineSeconds } = inputs;
  return new Error(
    `cluster ${cluster} (${endpoint}) could not be asked for ${deadlineSeconds} s whether ${kind}s are left: ` +
      `${reason(error)}. Run destroy again from where its API is reached (openclaw-fleet:cluster.access, ` +
      "./fleet tunnel). Only if the cluster is gone for good: end its EC2 instances and volumes by hand " +
      `(tag kubernetes.io/cluster/${cluster}), then take this wait out of the state with ./fleet pulumi state delete`,
  );
}

function left(inputs: GoneInputs, names: readonly string[]): Error {
  const { cluster, kind, apiVersion, namespace, deadlineSeconds } = inputs;
  const group = apiVersion.includes("/") ? `.${apiVersion.split("/")[0]}` : "";
  const where = namespace ? ` -n ${namespace}` : "";
  return new Error(
    `after ${deadlineSeconds} s cluster ${cluster} still has ${names.length} ${kind}${names.length === 1 ? "" : "s"}: ` +
      `${some(names)}. See what holds them (finalizers, events) with kubectl${where} describe ` +
      `${kind.toLowerCase()}${group}, then run destroy again: it goes on from here`,
  );
}
