import { targetOf } from "./fleet-place.ts";

/**
 * Options by which a host that does not answer stops nothing but its own step. The engine begins nothing new after a
 * failed resource unless it is told so. On target `hosts` no host depends on another one, and a rollout in which a
 * host failed after it was reached is stopped by the provider. Elsewhere, and where somebody typed it: none.
 */
export function goOnOptions(stack: string, args: readonly string[]): string[] {
  if (args.some((arg) => /^--continue-on-error(=|$)/.test(arg))) return [];
  return targetOf(stack) === "hosts" ? ["--continue-on-error"] : [];
}
