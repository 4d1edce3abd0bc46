import { askPulumi, type PulumiRunner } from "../pulumi.ts";

/** A stack's recorded outputs, secrets masked; empty when there are none yet. */
export function outputsOf(runner: PulumiRunner, stack: string): Record<string, unknown> {
  const found = askPulumi(runner, ["stack", "output", "--json", "--stack", stack]);
  return JSON.parse(found ?? "{}") as Record<string, unknown>;
}
