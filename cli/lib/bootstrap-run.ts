import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parse, stringify } from "yaml";
import {
  backendUrl,
  bootstrapStack,
  FLEET_PATH,
  type Place,
  secretsProvider,
  stateBucket,
} from "../../bootstrap/names.ts";
import { dataDir, PROJECT_ROOT } from "../../toolchain/paths.ts";
import { askPulumi, type PulumiRunner, runPulumi } from "../pulumi.ts";
import { CommandFailed } from "./errors.ts";
import { say } from "./terminal.ts";

const PROJECT = "openclaw-fleet-bootstrap";
const FOLDER = join(PROJECT_ROOT, "bootstrap");

/** The bootstrap's settings as options give them; what no option gives has its default. */
export function configOf(
  given: {
    readonly repository?: readonly string[];
    readonly branch?: string;
    readonly environment?: readonly string[];
    readonly existingGithub?: boolean;
  },
  { accountId, region }: Place,
): Record<string, unknown> {
  return {
    accountId,
    region,
    ...(given.repository ? { repositories: [...given.repository] } : {}),
    ...(given.branch === undefined ? {} : { branch: given.branch }),
    ...(given.environment ? { environments: [...given.environment] } : {}),
    ...(given.existingGithub ? { existingGithubProvider: true } : {}),
  };
}

/** There is no secret in this project's state, so a passphrase would only be one more thing to lose. */
const open = (runner: PulumiRunner, url: string): PulumiRunner => {
  const env: NodeJS.ProcessEnv = {
    ...runner.env,
    PULUMI_BACKEND_URL: url,
    PULUMI_CONFIG_PASSPHRASE: "",
  };
  delete env.PULUMI_CONFIG_PASSPHRASE_FILE;
  return { ...runner, env };
};

export const inOwnBucket = (runner: PulumiRunner, place: Place): PulumiRunner =>
  open(runner, backendUrl(place));

/** Where the first run keeps its state until the bucket is there, so that one cut short goes on. */
export function inThisFolder(runner: PulumiRunner, place: Place): PulumiRunner {
  const folder = join(dataDir(runner.env), "bootstrap", bootstrapStack(place));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return open(runner, pathToFileURL(folder).href);
}

/** Is the bootstrap's stack in that backend? A bucket that cannot be read has none. */
export function isThere(runner: PulumiRunner, place: Place): boolean {
  const listed = askPulumi(runner, ["stack", "ls", "--json"], FOLDER);
  const stacks = JSON.parse(listed ?? "[]") as { name: string }[];
  return stacks.some(({ name }) => name.split("/").at(-1) === bootstrapStack(place));
}

const settingsFile = (place: Place) => join(FOLDER, `Pulumi.${bootstrapStack(place)}.yaml`);

/**
 * Makes the stack if it is new, and writes its settings: what an option gives is changed, the rest is as
 * the last run had it, also when that was on another machine. Otherwise a run that names no repository
 * would take the roles away.
 */
export function writeSettings(
  runner: PulumiRunner,
  place: Place,
  config: Record<string, unknown>,
): void {
  const stack = bootstrapStack(place);
  const file = settingsFile(place);
  const there = isThere(runner, place);
  if (there && !existsSync(file)) {
    askPulumi(runner, ["config", "refresh", "--force", "--stack", stack], FOLDER);
  }
  const before = existsSync(file)
    ? ((parse(readFileSync(file, "utf8")) ?? {}) as { config?: Record<string, unknown> })
    : {};
  const given = Object.entries(config).map(([key, value]) => [`${PROJECT}:${key}`, value]);
  const merged = { ...before, config: { ...before.config, ...Object.fromEntries(given) } };
  writeFileSync(
    file,
    `# Settings of ./fleet bootstrap aws, made by it. No secret is in it.\n${stringify(merged)}`,
  );
  if (there) return;
  const made = spawnSync(runner.pulumi, ["stack", "init", stack, "--non-interactive"], {
    cwd: FOLDER,
    env: runner.env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (made.status === 0) return;
  throw new CommandFailed(
    "The bootstrap's state has no place",
    `${made.stderr || made.stdout || made.error?.message}`.trim(),
  );
}

export async function runUp(runner: PulumiRunner, place: Place, yes: boolean): Promise<void> {
  const args = ["--cwd", FOLDER, "up", "--stack", bootstrapStack(place), ...(yes ? ["--yes"] : [])];
  const code = await runPulumi(runner, args);
  if (code === 0) return;
  throw new CommandFailed(
    "The bootstrap is not done",
    code === "interrupted" ? "it was interrupted" : "Pulumi's reason is above",
    "mend that and run the same command again: what is done stays done. EntityAlreadyExists for the OIDC provider: add --existing-github",
  );
}

/** Brings the first run's state to its own bucket, where every later run from any machine finds it. */
export function moveIntoBucket(from: PulumiRunner, bucket: PulumiRunner, place: Place): void {
  const stack = bootstrapStack(place);
  const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-bootstrap-"));
  const file = join(folder, "state.json");
  const steps: [PulumiRunner, string[]][] = [
    [from, ["stack", "export", "--stack", stack, "--file", file]],
    ...(isThere(bucket, place)
      ? []
      : [[bucket, ["stack", "init", stack]] as [PulumiRunner, string[]]]),
    [bucket, ["stack", "import", "--stack", stack, "--file", file]],
  ];
  try {
    for (const [runner, args] of steps) {
      if (askPulumi(runner, args, FOLDER) !== null) continue;
      throw new CommandFailed(
        "Everything is made, and its state could not be moved into its bucket",
        `pulumi ${args.slice(0, 2).join(" ")} failed`,
        "run the same command again: it goes on with the state on this machine",
      );
    }
    // Once: a second state of the same things would go its own way.
    askPulumi(from, ["stack", "rm", stack, "--force", "--preserve-config", "--yes"], FOLDER);
    say(`fleet: its state is in s3://${stateBucket(place)} now`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function outputsOfBootstrap(
  runner: PulumiRunner,
  place: Place,
): Readonly<Record<string, unknown>> {
  const args = ["stack", "output", "--json", "--stack", bootstrapStack(place)];
  return JSON.parse(askPulumi(runner, args, FOLDER) ?? "{}") as Record<string, unknown>;
}

/** What to type next, for a person and for CI. */
export function nextSteps(place: Place, outputs: Readonly<Record<string, unknown>>): string {
  const { accountId, region } = place;
  const roles = [
    ["deploy", outputs.deployRoleArn],
    ["preview", outputs.previewRoleArn],
  ].filter(([, arn]) => typeof arn === "string");
  return [
    "",
    `Ready in account ${accountId}, ${region}. Keep states there, from each shell and in CI:`,
    `  export PULUMI_BACKEND_URL='${backendUrl(place)}'`,
    "",
    "A stack whose secrets are encrypted by the key:",
    `  ./fleet init --stack prod --target eks --account ${accountId} --region ${region} --secrets-provider '${secretsProvider(place)}'`,
    ...(roles.length === 0
      ? []
      : [
          "",
          "Roles for GitHub's aws-actions/configure-aws-credentials, and settings that stacks deployed by them need:",
          ...roles.map(([name, arn]) => `  ${String(name).padEnd(8)} ${String(arn)}`),
          "  openclaw-fleet:aws:",
          `    permissionsBoundaryArn: ${String(outputs.boundaryArn)}`,
          `    rolePath: ${FLEET_PATH}`,
        ]),
  ].join("\n");
}
