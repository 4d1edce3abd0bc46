import { checkStackName, preparePulumi, requireStack } from "../pulumi.ts";
import { rawSettings } from "../settings.ts";
import { noFleetOn } from "./cloud-status.ts";
import { outputsOf } from "./stack-outputs.ts";

type Outputs = Readonly<Record<string, unknown>>;

/** Where a stack's fleet is to be found, and the stack's outputs where commands need them. */
export type FleetPlace =
  /** On this machine: its own files say how to reach it. */
  | { readonly at: "here" }
  /** On hosts: those of target `hosts`, or machines that the stack made and put it on. */
  | { readonly at: "hosts"; readonly target: string; readonly outputs: Outputs }
  /** The stack makes what a fleet runs on, and none runs there. */
  | { readonly at: "nowhere"; readonly target: string; readonly outputs: Outputs };

/** The stack's target as its file says; `local` where it says none. */
export function targetOf(stack: string): string {
  const { target } = rawSettings(stack);
  return typeof target === "string" ? target : "local";
}

/**
 * Whether a stack of this target has a fleet that one can talk to, or would have after its `up`. On `ec2` the
 * outputs tell: a stack that makes lower layers alone, or none yet, names no hosts.
 */
export function carriesFleet(target: string, outputs: Outputs): boolean {
  if (target !== "ec2") return target !== "eks";
  return Array.isArray(outputs.hosts) && outputs.hosts.length > 0;
}

/**
 * Looks where a stack's fleet is. Elsewhere than on this machine that is a run of Pulumi.
 * @param options.showSecrets outputs decrypted, for this process alone; masked by default
 * @throws CommandFailed when the stack was never brought up
 */
export async function findFleet(
  stack: string,
  { showSecrets = false }: { showSecrets?: boolean } = {},
): Promise<FleetPlace> {
  const target = targetOf(stack);
  if (target === "local") return { at: "here" };
  checkStackName(stack);
  const runner = await preparePulumi({ release: false });
  requireStack(runner, stack);
  const outputs = outputsOf(runner, stack, { showSecrets });
  return { at: carriesFleet(target, outputs) ? "hosts" : "nowhere", target, outputs };
}

/** {@link findFleet}, for commands that are lost without one. @throws CommandFailed when none runs there */
export async function requireFleet(
  stack: string,
  options: { showSecrets?: boolean } = {},
): Promise<Exclude<FleetPlace, { at: "nowhere" }>> {
  const place = await findFleet(stack, options);
  if (place.at === "nowhere") throw noFleetOn(stack, place.target);
  return place;
}
