import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { parseFindings } from "../../../cli/lib/policy-report.ts";
import { NAMED_EXCEPTIONS } from "../../../policies/named-exceptions.ts";
import { ensurePolicyPack } from "../../../toolchain/policy-pack.ts";
import { share } from "../../support/share.ts";
import { makeProject } from "../fixtures/project.ts";
import { awsStack, LONG_MS, PULUMI } from "./harness.ts";
import { furnish, PRESETS, settingsOf, TARGETS } from "./stacks.ts";

vi.setConfig({ testTimeout: LONG_MS, hookTimeout: LONG_MS });

/** Two presets of AWS a day, prod and staging in turns. */
const STACKS = TARGETS.flatMap((target) =>
  PRESETS.flatMap((preset) =>
    (["prod", "staging"] as const).map((environment) => ({ target, preset, environment })),
  ),
);

const variables = async (dir: string, report: string) => ({
  PULUMI_OPTION_POLICY_PACK: await ensurePolicyPack(),
  OPENCLAW_FLEET_PROJECT: dir,
  OPENCLAW_FLEET_POLICY_REPORT: report,
});

describe.skipIf(!PULUMI)("every preset passes the pack under the real engine", () => {
  test.each(share(STACKS, 2))("$preset on $target, $environment", async (which) => {
    const { target, preset, environment } = which;
    const stack = await awsStack({
      stack: environment,
      settings: settingsOf(target, preset, { environment, budgetMonthlyUsd: 20_000 }),
    });
    try {
      stack.account((world) => furnish(world));
      const report = join(stack.home, "findings.jsonl");
      const env = await variables(join(stack.home, "clone"), report);
      const { code, text } = await stack.preview({ env });
      expect(text).not.toMatch(/\[mandatory\]|can't run policy/);
      expect(code, text).toBe(0);
      const notes = parseFindings(readFileSync(report, "utf8"));
      const refused = notes.filter(
        ({ outcome, severity }) => outcome === "found" && severity !== "advisory",
      );
      expect(refused).toEqual([]);
      const reasons = NAMED_EXCEPTIONS.map(({ reason }) => reason);
      for (const { outcome, reason } of notes) {
        if (outcome === "excepted") expect(reasons).toContain(reason);
      }
    } finally {
      stack.remove();
    }
  });

  test("a stack on this machine", async () => {
    const project = await makeProject();
    try {
      project.settings(["openclaw-fleet:sizes:", "  shardMemoryMiB: 10", "  runtimeMemoryMiB: 10"]);
      expect((await project.pulumi(["stack", "init", "test"])).code).toBe(0);
      const env = await variables(project.dir, join(project.dir, "findings.jsonl"));
      const { code, text } = await project.pulumi(["preview"], env);
      expect(text).not.toMatch(/\[mandatory\]|can't run policy/);
      expect(code, text).toBe(0);
    } finally {
      project.remove();
    }
  });
});
