import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { policyVariables } from "../../cli/policies.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { makeProject, type Project, PULUMI } from "./fixtures/project.ts";

describe.skipIf(!PULUMI)("pulumi, typed directly", { timeout: 600_000 }, () => {
  let project: Project;
  const preview = (environment: string, env: Record<string, string> = {}) => {
    project.settings([
      `openclaw-fleet:environment: ${environment}`,
      "openclaw-fleet:sizes:",
      "  shardMemoryMiB: 10",
      "  runtimeMemoryMiB: 10",
    ]);
    return project.pulumi(["preview"], env);
  };

  beforeAll(async () => {
    project = await makeProject();
    project.settings([]);
    const made = await project.pulumi(["stack", "init", "test"]);
    expect(made.code, made.text).toBe(0);
  });
  afterAll(() => project.remove());

  test("says on prod that no policy judged it, and what to do; elsewhere it says nothing", async () => {
    const prod = await preview("prod");
    expect([prod.code, prod.text]).toEqual([0, expect.stringContaining("policies not run: ")]);
    expect(prod.text).toContain('eval "$(./fleet env)"');
    const dev = await preview("dev");
    expect([dev.code, dev.text]).toEqual([0, expect.not.stringContaining("policies not run")]);
  });

  test("asks them with what .envrc exports", async () => {
    const file = { OPENCLAW_FLEET_STACK_FILE: join(project.dir, "Pulumi.test.yaml") };
    const judged = await preview("prod", { ...(await policyVariables()), ...file });
    expect(judged.text).not.toContain("policies not run");
    expect(judged.text).toMatch(/Policies:\s+\S+ openclaw-fleet@v\d/);
  });

  test("and .envrc exports the policies and the project's own tools and state", async () => {
    const state = join(dirname(project.dir), "state");
    const script = 'watch_file() { :; }; . ./.envrc; printf "%s\\n" "$PULUMI_OPTION_POLICY_PACK"';
    const out = execFileSync(
      "sh",
      ["-c", `${script} "$OPENCLAW_FLEET_POLICIES" "$(command -v pulumi)"`],
      {
        cwd: PROJECT_ROOT,
        encoding: "utf8",
        env: {
          ...process.env,
          PULUMI_BACKEND_URL: `file://${state}`,
          PULUMI_CONFIG_PASSPHRASE: "x",
        },
      },
    );
    const [pack = "", told, pulumi] = out.trim().split("\n");
    expect(existsSync(join(pack, "PulumiPolicy.yaml"))).toBe(true);
    expect([told, pulumi]).toEqual([pack, expect.stringContaining("/pulumi")]);
  });
});
