import { askPulumi, type PulumiRunner } from "../../pulumi.ts";
import { CommandFailed } from "../errors.ts";
import { type AwsPlace, type Inputs, knownId } from "./known-ids.ts";

/** An operation that a run began and did not live to write down the end of. */
export interface Pending {
  readonly op: string;
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  /** Of a create: under which id it is in the cloud if it came about; null where only the cloud knows. */
  readonly id: string | null;
}

/** The same, with what is needed to find out. */
export interface Begun extends Pending {
  readonly inputs: Inputs;
  /** Where on AWS it would be; null where that is not known, or elsewhere. */
  readonly place: AwsPlace | null;
}

/** A resource as the state has it. */
export interface Kept {
  readonly urn: string;
  readonly type: string;
  readonly id?: string;
  readonly protect?: boolean;
  readonly inputs?: Inputs;
  readonly outputs?: Inputs;
  /** Its provider's URN and id, joined by `::`. */
  readonly provider?: string;
}

/** What a stack's state holds. */
export interface StackState {
  readonly resources: readonly Kept[];
  readonly pending: readonly Begun[];
  /** When a run last wrote it, ms since 1970; null where that is not said. */
  readonly writtenAt: number | null;
}

/** Fields of an exported state that are read, or written back as they were. */
export interface Exported {
  readonly deployment?: {
    readonly manifest?: { readonly time?: string };
    readonly resources?: readonly Kept[];
    readonly pending_operations?: readonly { readonly type: string; readonly resource: Kept }[];
  };
}

/** The state as the backend has it, as text. @throws CommandFailed when it cannot be read. */
export function exportState(runner: PulumiRunner, stack: string): string {
  const text = askPulumi(runner, ["stack", "export", "--stack", stack]);
  if (text !== null) return text;
  throw new CommandFailed(
    `The state of ${stack} cannot be read`,
    "Pulumi could not export it",
    `./fleet pulumi stack export --stack ${stack} shows its own words`,
  );
}

/** The state as the backend has it. @throws CommandFailed when it cannot be read. */
export const stateOf = (runner: PulumiRunner, stack: string): StackState =>
  readState(exportState(runner, stack));

/** Reads what `pulumi stack export` prints. */
export function readState(text: string): StackState {
  const { deployment } = JSON.parse(text) as Exported;
  const resources = deployment?.resources ?? [];
  const writtenAt = Date.parse(deployment?.manifest?.time ?? "");
  return {
    resources,
    writtenAt: Number.isFinite(writtenAt) ? writtenAt : null,
    pending: (deployment?.pending_operations ?? []).map(({ type, resource }) => {
      const inputs = resource.inputs ?? {};
      const place = placeOf(resources, resource.provider);
      return {
        op: type,
        urn: resource.urn,
        type: resource.type,
        name: resource.urn.split("::").at(-1) as string,
        id: knownId(resource.type, inputs, place ?? undefined) ?? null,
        inputs,
        place,
      };
    }),
  };
}

function placeOf(resources: readonly Kept[], reference: string | undefined): AwsPlace | null {
  const urn = (reference ?? "").replace(/::[^:]*$/, "");
  const provider = resources.find((one) => one.urn === urn);
  if (provider?.type !== "pulumi:providers:aws") return null;
  const { region } = provider.inputs ?? {};
  const [accountId] = listOf(provider.inputs?.allowedAccountIds);
  const [role] = listOf(provider.inputs?.assumeRoles) as { roleArn?: unknown }[];
  if (typeof region !== "string" || typeof accountId !== "string") return null;
  return {
    region,
    accountId,
    ...(typeof role?.roleArn === "string" ? { assumeRoleArn: role.roleArn } : {}),
  };
}

/** A list in a provider's inputs, which the state has as JSON text. */
function listOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value !== "string") return [];
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) ? parsed : [];
  } catch {
    return [];
  }
}
