import { z } from "zod";
import { secretNames } from "../../components/host/secrets.ts";
import { hostPlan } from "../../components/host/shape.ts";
import type { HostPlan } from "../../components/host/types.ts";
import { faultsOfKnown } from "../faults.ts";
import type { CheckFailure } from "../handler.ts";
import {
  type Change,
  differences,
  hasUnknown,
  isObject,
  type Props,
  reveal,
  secret,
} from "../values.ts";
import { hostConnection } from "./connection.ts";
import { anotherMachine } from "./machine.ts";

/** The secret by which the node's own routes are used. */
export const ADMIN_TOKEN = "token.admin";

/** Inputs of `openclaw:host:Release`. */
export const releaseInputs = z.strictObject({
  /** How the host is reached. */
  host: hostConnection,
  /** The fleet's name: the stack. */
  fleet: z.string().min(1),
  /** The node's id. Another one is another resource. */
  node: z.string().min(1),
  /** Id of the release on the host that carries the plan out. */
  artifact: z.string().regex(/^[A-Za-z0-9._+-]+$/, "is no id of a release"),
  plan: hostPlan,
  /** Values of the plan's marks, and `token.admin`; what the plan does not name is dropped. */
  secrets: z.record(z.string(), z.string()),
  /** Port on loopback where the node answers; 0: no node runs there (a witness). */
  apiPort: z.number().int().nonnegative(),
  /** Directories of data outlive the resource. */
  keepData: z.boolean(),
  /** Refuse to take it away with the whole fleet; a smaller fleet may still do it. */
  protected: z.boolean(),
  /**
   * What the machine under the host is: another value means that it was restarted or exchanged, and has to
   * prove itself again. The key `drained` is the output of `openclaw:host:Drained`: another one, and the node
   * takes shards again once it serves.
   */
  machine: z.record(z.string(), z.string()).optional(),
});
export type ReleaseInputs = z.infer<typeof releaseInputs>;

/** Inputs that change nothing on the host. */
const ONLY_KEPT: readonly string[] = ["keepData", "protected"];

/** Checks inputs, and keeps of the secrets what this host needs: another host's are no change of it. */
export function checkRelease(news: Props): { inputs: Props; failures: CheckFailure[] } {
  const all = reveal(news) as Props;
  const { plan, secrets } = all;
  const failures = faultsOfKnown(releaseInputs, all);
  if (hasUnknown(all) || failures.length > 0 || !isObject(secrets))
    return { inputs: news, failures };
  const names = secretNames(plan as HostPlan);
  for (const name of names) {
    if (typeof secrets[name] === "string") continue;
    const path = pathOf(plan as HostPlan, name);
    failures.push({
      property: `plan.files["${path}"]`,
      reason: `asks for the secret ${name}, which does not exist`,
    });
  }
  const kept = [...names, ADMIN_TOKEN].flatMap((name) =>
    secrets[name] === undefined ? [] : [[name, secrets[name]] as const],
  );
  return { inputs: { ...news, secrets: secret(Object.fromEntries(kept)) }, failures };
}

/** What differs, by property: secrets as one, because their values must not be shown. */
export function releaseChanges(oldInputs: Props, news: Props): Change[] {
  const { secrets: oldSecrets, ...olds } = reveal<Props>(oldInputs);
  const { secrets: newSecrets, ...next } = reveal<Props>(news);
  const changed = differences(oldSecrets, newSecrets).length > 0;
  return [
    ...differences(olds, next),
    ...(changed ? [{ path: "secrets", kind: "update" } as const] : []),
  ];
}

/** True when the host has to be called for these changes. */
export function concernsHost(changes: readonly Change[]): boolean {
  return changes.some(({ path }) => !ONLY_KEPT.includes(path));
}

/** What became of the machine under a host since it was changed last. */
export interface MachineChange {
  /** It is another one: nothing of the fleet but its state volume is there. */
  readonly fresh: boolean;
  /** See ApplyRequest of agent/protocol.ts. */
  readonly restarted?: { readonly emptied: boolean };
}

/** @param olds what the state holds; null when the host is made */
export function machineChange(
  olds: (Pick<ReleaseInputs, "host" | "machine"> & { readonly state?: string }) | null,
  { host, machine }: Pick<ReleaseInputs, "host" | "machine">,
): MachineChange {
  if (olds === null) return { fresh: false };
  const fresh = anotherMachine(olds.host, host);
  const token = machine?.drained ?? "";
  const emptied = token !== "" && token !== olds.machine?.drained;
  // Of one that was never described nothing can have changed; what was never finished has nothing to come back to.
  const changed = olds.machine !== undefined && differences(olds.machine, machine).length > 0;
  const restarted = emptied || ((fresh || changed) && olds.state !== "incomplete");
  return { fresh, ...(restarted ? { restarted: { emptied } } : {}) };
}

/** The first file that asks for a secret. */
function pathOf(plan: HostPlan, name: string): string {
  const found = Object.entries(plan.files).find(([, file]) =>
    secretNames({ files: { file } }).includes(name),
  );
  return found?.[0] ?? "";
}
