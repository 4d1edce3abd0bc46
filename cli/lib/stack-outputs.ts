import { askPulumi, type PulumiRunner } from "../pulumi.ts";

/**
 * A stack's recorded outputs; empty when there are none yet.
 * @param options.showSecrets decrypt them; masked by default
 */
export function outputsOf(
  runner: PulumiRunner,
  stack: string,
  { showSecrets = false }: { showSecrets?: boolean } = {},
): Record<string, unknown> {
  const plain = showSecrets ? ["--show-secrets"] : [];
  const found = askPulumi(runner, ["stack", "output", "--json", "--stack", stack, ...plain]);
  return JSON.parse(found ?? "{}") as Record<string, unknown>;
}
