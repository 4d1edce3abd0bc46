import { type PulumiRunner, tryPulumi } from "../pulumi.ts";
import { CommandFailed } from "./errors.ts";

/**
 * A stack's recorded outputs; empty when there are none yet.
 * @param options.showSecrets decrypt them; masked by default
 * @throws CommandFailed when Pulumi cannot read them, which is not the same as having none
 */
export function outputsOf(
  runner: PulumiRunner,
  stack: string,
  { showSecrets = false }: { showSecrets?: boolean } = {},
): Record<string, unknown> {
  const plain = showSecrets ? ["--show-secrets"] : [];
  const found = tryPulumi(runner, ["stack", "output", "--json", "--stack", stack, ...plain]);
  if ("out" in found) return JSON.parse(found.out) as Record<string, unknown>;
  throw new CommandFailed(
    `The outputs of stack ${stack} cannot be read`,
    found.why,
    "Pulumi decrypts them with PULUMI_CONFIG_PASSPHRASE, the file that PULUMI_CONFIG_PASSPHRASE_FILE names, or your right to the stack's key",
  );
}
