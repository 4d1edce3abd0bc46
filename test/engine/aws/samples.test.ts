import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";
import { share } from "../../support/share.ts";
import { awsStack, PULUMI } from "./harness.ts";
import { furnish, ZONE_NAME } from "./stacks.ts";

/** Samples on AWS; one a day. */
const SAMPLES = ["prod", "staging", "enterprise"];
/** The role that the samples name as who deploys. */
const CALLER = "arn:aws:iam::123456789012:role/openclaw-fleet-deploy";

/** The lines below `config:` of a sample, as they are written. */
function linesOf(sample: string): string[] {
  const text = readFileSync(join(PROJECT_ROOT, `Pulumi.${sample}.yaml`), "utf8");
  const [, below = ""] = text.split(/^config:\n/m);
  return below
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^ {2}/, ""));
}

describe.skipIf(!PULUMI)("a sample, as it is written", () => {
  test.each(share(SAMPLES, 1))("Pulumi.%s.yaml is previewed with all outputs", async (sample) => {
    // Nobody answers for the domain of a placeholder, which is all that is laid over the sample.
    const dns = { zoneName: ZONE_NAME, checkDelegation: false };
    const stack = await awsStack({
      stack: sample,
      settings: [...linesOf(sample), `openclaw-fleet:dns: ${JSON.stringify(dns)}`],
    });
    try {
      stack.account((world) => furnish(world));
      const { code, text } = await stack.preview({ env: { STANDIN_CALLER: CALLER } });
      expect(code, text).toBe(0);
      expect(text).toMatch(/\+ \d{2,3} to create/);
      const outputs = text.split("--outputs:--").at(-1) ?? "";
      for (const name of [
        "endpoint",
        "token",
        "adminToken",
        "target",
        "preset",
        "nodes",
        "shards",
      ]) {
        expect(outputs).toMatch(new RegExp(`^ {4}\\+? ?${name} *:`, "m"));
      }
      expect(stack.account((world) => world.log)).toEqual([]);
    } finally {
      stack.remove();
    }
  });
});
