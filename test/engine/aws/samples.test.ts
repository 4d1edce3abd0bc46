import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";
import { share } from "../../support/share.ts";
import { makeProject, type Run } from "../fixtures/project.ts";
import { awsStack, LONG_MS, PULUMI } from "./harness.ts";
import { furnish, ZONE_NAME } from "./stacks.ts";

vi.setConfig({ testTimeout: LONG_MS, hookTimeout: LONG_MS });

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

/** What each stack exports, whatever its target: a contract. */
const OUTPUTS = ["endpoint", "token", "adminToken", "target", "preset", "nodes", "shards"];

function expectPreview({ code, text }: Run): void {
  expect(code, text).toBe(0);
  expect(text).toMatch(/\+ \d{1,3} to create/);
  const outputs = text.split(/^ *--outputs:--$|^Outputs:/m).at(-1) ?? "";
  for (const name of OUTPUTS) expect(outputs).toMatch(new RegExp(`^ +\\+? ?${name} *:`, "m"));
}

describe.skipIf(!PULUMI)("a sample, as it is written, is previewed with all outputs", () => {
  test.each(share(SAMPLES, 1))("Pulumi.%s.yaml", async (sample) => {
    // Nobody answers for the domain of a placeholder, which is all that is laid over the sample.
    const dns = { zoneName: ZONE_NAME, checkDelegation: false };
    const stack = await awsStack({
      stack: sample,
      settings: [...linesOf(sample), `openclaw-fleet:dns: ${JSON.stringify(dns)}`],
    });
    try {
      stack.account((world) => furnish(world));
      expectPreview(await stack.preview({ env: { STANDIN_CALLER: CALLER } }));
      expect(stack.account((world) => world.log)).toEqual([]);
    } finally {
      stack.remove();
    }
  });

  test("Pulumi.vps.yaml, whose hosts are nobody's", async () => {
    const project = await makeProject();
    try {
      expect((await project.pulumi(["stack", "init", "test"])).code).toBe(0);
      project.settings(linesOf("vps"));
      expectPreview(await project.pulumi(["preview", "--stack", "test"]));
    } finally {
      project.remove();
    }
  });
});
