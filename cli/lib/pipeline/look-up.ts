import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { captured } from "../../../gateway/captured.ts";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";
import type { PulumiRunner } from "../../pulumi.ts";
import { explainCloud } from "../cloud-errors.ts";
import type { AwsPlace } from "./known-ids.ts";
import type { Found, Wanted } from "./tagged-ids.ts";

/** What an account is asked. */
export interface Question {
  readonly place: AwsPlace;
  /** The tag that everything of the fleet bears. */
  readonly fleet: { readonly key: string; readonly value: string };
  readonly wanted: readonly Wanted[];
  /** Mount targets, which bear no tags: where they would be. */
  readonly mounts: readonly {
    readonly urn: string;
    readonly fileSystemId: string;
    readonly subnetId: string;
  }[];
  /** Until then what is missing is asked for again, ms since 1970. */
  readonly until: number;
}

/** The account could not be asked; the message says why. */
export class LookUpFailed extends Error {}

const STACK = "look";

/**
 * Asks an account what it has, through the provider that stacks use: credentials of every kind are found
 * as for them, and another account than the named one is refused. Runs a program of its own (`cli/lookup`)
 * whose state is thrown away.
 * @throws LookUpFailed
 */
export async function lookUp(runner: PulumiRunner, question: Question): Promise<readonly Found[]> {
  const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-lookup-"));
  try {
    mkdirSync(join(folder, "state"));
    const project = {
      name: "openclaw-fleet-lookup",
      runtime: { name: "nodejs", options: { typescript: false } },
      main: join(PROJECT_ROOT, "cli", "lookup"),
    };
    writeFileSync(join(folder, "Pulumi.yaml"), JSON.stringify(project));
    // Nothing secret is asked or answered.
    const env: NodeJS.ProcessEnv = {
      ...runner.env,
      PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "",
      OPENCLAW_FLEET_LOOKUP: JSON.stringify(question),
    };
    delete env.PULUMI_CONFIG_PASSPHRASE_FILE;
    const pulumi = (...args: string[]) =>
      run(runner.pulumi, [...args, "--stack", STACK], folder, env);
    await run(runner.pulumi, ["stack", "init", STACK], folder, env);
    await pulumi("up", "--yes", "--skip-preview");
    const answer = JSON.parse(await pulumi("stack", "output", "--json")) as {
      found: readonly Found[];
    };
    return answer.found;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function run(
  pulumi: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const all = [...args, "--non-interactive", "--color", "never"];
  const { code, stdout, stderr } = await captured(pulumi, all, { cwd, env });
  if (code === 0) return stdout;
  throw new LookUpFailed(explainCloud(`${stdout}\n${stderr}`).what);
}
