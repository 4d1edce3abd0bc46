import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PreflightCheck } from "../../stacks/aws/preflight/need.ts";
import { PREFLIGHT_REPORT, readReport } from "../../stacks/aws/preflight/report.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { findPulumi } from "../../toolchain/pulumi.ts";
import { explainCloud } from "../lib/cloud-errors.ts";
import { CommandFailed } from "../lib/errors.ts";
import { say } from "../lib/terminal.ts";
import { type PulumiRunner, preparePulumi, throwawayStack } from "../pulumi.ts";
import type { Check } from "./check.ts";

/** AWS answers within seconds; a minute and more is a network that swallows everything. */
const PATIENCE_MS = 180_000;

/**
 * The stack program's own look at the account, so that `doctor` and `up` cannot disagree: a preview
 * of a copy that is thrown away, which ends after the checks.
 */
export async function cloudChecks(stack: string): Promise<Check[]> {
  if (findPulumi() === null) {
    const text = "not looked at: there is no Pulumi here yet";
    return [{ id: "account", state: "warn", text, fix: `./fleet preview --stack ${stack}` }];
  }
  say("fleet: asking AWS about quotas, zones and rights");
  const runner = await preparePulumi({ release: false });
  const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-doctor-"));
  try {
    return await looked(runner, stack, join(folder, "preflight.json"));
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const { message: text, why, advice: fix } = error;
    return [
      { id: "account", state: "fail", text, ...(why ? { why } : {}), ...(fix ? { fix } : {}) },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function looked(runner: PulumiRunner, stack: string, report: string): Promise<Check[]> {
  const tried = throwawayStack(runner, stack);
  try {
    const env = { ...tried.runner.env, [PREFLIGHT_REPORT]: report };
    const args = ["preview", "--stack", stack, "--non-interactive", "--color", "never"];
    const { output, late } = await run(runner.pulumi, [...args, ...tried.args], env);
    const checks = readReport(report);
    if (checks) return checks.map(asCheck);
    const seconds = PATIENCE_MS / 1_000;
    if (late) {
      return [
        {
          id: "account",
          state: "fail",
          text: `AWS did not answer within ${seconds} s`,
          fix: "look at the network and at HTTPS_PROXY",
        },
      ];
    }
    const { what, fix } = explainCloud(output);
    return [{ id: "account", state: "fail", text: what, fix }];
  } finally {
    tried.remove();
  }
}

/** What nobody could say is shown as something to know: it has not passed. */
function asCheck({ state, text, ...check }: PreflightCheck): Check {
  if (state !== "unknown") return { ...check, state, text };
  return { ...check, state: "warn", text: `unknown: ${text}` };
}

function run(
  program: string,
  args: string[],
  env: NodeJS.ProcessEnv,
): Promise<{ output: string; late: boolean }> {
  const child = spawn(program, args, {
    cwd: PROJECT_ROOT,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let late = false;
  const collect = (part: Buffer) => {
    output += part.toString();
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGINT");
  }, PATIENCE_MS);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve({ output, late }));
  }).finally(() => clearTimeout(timer)) as Promise<{ output: string; late: boolean }>;
}
