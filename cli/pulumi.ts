import { type StdioOptions, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureLanguageHost } from "../toolchain/language-host.ts";
import { PROJECT_ROOT } from "../toolchain/paths.ts";
import { createProgress } from "../toolchain/progress.ts";
import { ensurePulumi } from "../toolchain/pulumi.ts";
import { findBackend, prepareBackend, pulumiVariables } from "../toolchain/pulumi-env.ts";
import { CommandFailed, NotUpYet, UsageError } from "./lib/errors.ts";
import { firstSettings } from "./lib/first-settings.ts";
import { say } from "./lib/terminal.ts";
import { awaitFree, lockedBy, lockFolder, readLocks } from "./operation-lock.ts";
import { checkPulumiOptions } from "./pulumi-options.ts";
import { saltFirst, secretsProviderOf, withoutUnusedProvider } from "./stack-secrets.ts";

/** Name of the Pulumi project; its stacks and settings are filed under it. */
const PROJECT = "openclaw-fleet";

/** Pulumi's program and the environment it runs in. */
export interface PulumiRunner {
  pulumi: string;
  env: NodeJS.ProcessEnv;
}

export interface PrepareOptions {
  /** Also OpenClaw and the bundled runtime, beside Pulumi, for commands that run the program. */
  release: boolean;
  /** A stack may be made: then there must be a place for it, and a passphrase. */
  create?: boolean;
  /** What is handed on to one of Pulumi's commands: options that it does not have are refused before anything is made. */
  handsOn?: { readonly verb: string; readonly args: readonly string[] };
}

/** Gets what is missing, all at once, with progress on stderr. */
export async function preparePulumi({
  release,
  create,
  handsOn,
}: PrepareOptions): Promise<PulumiRunner> {
  const progress = createProgress();
  const [pulumi, built] = await Promise.all([
    ensurePulumi({ progress }),
    release
      ? import("../toolchain/release.ts").then(({ ensureRelease }) => ensureRelease({ progress }))
      : null,
  ]);
  if (handsOn) checkPulumiOptions(pulumi.path, handsOn.verb, handsOn.args);
  if (create) prepareBackend();
  const languageHost = ensureLanguageHost(pulumi);
  return {
    pulumi: pulumi.path,
    env: {
      ...process.env,
      ...pulumiVariables({ pulumi, languageHost }),
      // The stack's program takes it from here instead of bundling once more.
      // A caller that prepared another release means it.
      ...(built && !process.env.OPENCLAW_FLEET_RELEASE_JSON
        ? { OPENCLAW_FLEET_RELEASE_JSON: JSON.stringify(built) }
        : {}),
    },
  };
}

/**
 * Runs Pulumi with the terminal as its own: its display is the progress. Resolves with its exit
 * code, or "interrupted". Ctrl-C at a terminal reaches Pulumi by itself, which then ends in order;
 * a signal sent to this program alone is handed on once.
 */
export async function runPulumi(
  { pulumi, env }: PulumiRunner,
  args: string[],
  /** Its display is progress, and stdout is for a result of our own. */
  { toStderr = false } = {},
): Promise<number | "interrupted"> {
  const stdio: StdioOptions = toStderr ? ["inherit", 2, 2] : "inherit";
  const child = spawn(pulumi, args, {
    cwd: PROJECT_ROOT,
    env,
    stdio,
  });
  let interrupted = false;
  const onSignal = (signal: NodeJS.Signals) => {
    const first = !interrupted;
    interrupted = true;
    if (signal === "SIGINT" && process.stdin.isTTY) return;
    if (first) child.kill("SIGINT");
  };
  const signals: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, onSignal);
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status) => resolve(status ?? 1));
    });
    return interrupted ? "interrupted" : code;
  } finally {
    for (const signal of signals) process.removeListener(signal, onSignal);
  }
}

/** Commands that change the stack, one run at a time. */
const CHANGES: readonly string[] = ["up", "refresh", "destroy"];

/** Pulumi Cloud, or a server of its kind: it has leases instead of locks, which end by themselves. */
const isService = (backendUrl: string | null): boolean => /^https?:/.test(backendUrl ?? "");

/** Waits up to `waitMs` for another run that changes the stack. */
async function awaitTurn(
  runner: PulumiRunner,
  verb: string,
  stack: string,
  waitMs: number,
): Promise<void> {
  const { url } = findBackend(runner.env);
  const locks = lockFolder(url, PROJECT, stack);
  if (locks !== null) return awaitFree(locks, verb, stack, waitMs);
  // Without --wait Pulumi itself refuses, and says why: looking first would cost each run seconds.
  if (waitMs === 0) return;
  if (isService(url)) {
    say(
      `fleet: --wait has no effect with ${url}, which says of no stack who holds it: a second run fails`,
    );
    return;
  }
  // Loaded late: it needs what is here.
  const { awaitRelease } = await import("./lib/pipeline/locks.ts");
  await awaitRelease(runner, verb, stack, waitMs);
}

/**
 * Runs one of Pulumi's own commands; anything but success throws, saying how to go on. One that
 * changes the stack waits up to `waitMs` for another run that does. `ready` is called after that and before Pulumi: when
 * it throws, nothing is begun.
 */
export async function runForStack(
  runner: PulumiRunner,
  verb: string,
  stack: string,
  args: string[],
  waitMs = 0,
  ready: () => void = () => {},
): Promise<void> {
  const changes = CHANGES.includes(verb);
  if (changes) await awaitTurn(runner, verb, stack, waitMs);
  ready();
  const code = await runPulumi(runner, [...verb.split(" "), "--stack", stack, ...args]);
  if (code === 0) return;
  if (code === "interrupted") {
    throw new CommandFailed(
      `${verb} of ${stack} was interrupted`,
      "what Pulumi reported as done above is done and recorded; the rest is not",
      "run the same command again to go on",
    );
  }
  // Two runs that began in the same moment: Pulumi let the other one have the stack.
  const locks = changes ? lockFolder(findBackend(runner.env).url, PROJECT, stack) : null;
  const others = locks === null ? [] : readLocks(locks);
  if (others.length > 0) throw lockedBy(verb, stack, others);
  throw new CommandFailed(
    `${verb} of ${stack} failed`,
    `Pulumi ended with exit code ${code}; its reason is above`,
    `mend that and run it again: what is done stays done. ./fleet doctor looks at this machine`,
  );
}

/** Output of a short Pulumi command, or null when it failed. */
export function askPulumi(runner: PulumiRunner, args: string[], cwd = PROJECT_ROOT): string | null {
  const asked = tryPulumi(runner, args, cwd);
  return "out" in asked ? asked.out : null;
}

/** What a short Pulumi command printed, or why it failed, in its own last line. */
export function tryPulumi(
  { pulumi, env }: PulumiRunner,
  args: string[],
  cwd = PROJECT_ROOT,
): { out: string } | { why: string } {
  const { status, signal, stdout, stderr, error } = spawnSync(
    pulumi,
    [...args, "--non-interactive"],
    { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 64 * 2 ** 20 },
  );
  if (status === 0) return { out: stdout };
  const last = (stderr ?? "")
    .trimEnd()
    .split("\n")
    .at(-1)
    ?.replace(/^error: /, "");
  return { why: last || error?.message || `Pulumi ended with ${signal ?? `exit code ${status}`}` };
}

/** Does the stack exist in the backend? Reads the file store directly, which takes no time. */
export function stackExists(runner: PulumiRunner, stack: string): boolean {
  const url = findBackend(runner.env).url ?? "";
  if (url.startsWith("file:///")) {
    const folder = join(fileURLToPath(url), ".pulumi", "stacks", PROJECT);
    return [`${stack}.json`, `${stack}.json.gz`].some((name) => existsSync(join(folder, name)));
  }
  const listed = askPulumi(runner, ["stack", "ls", "--json"]);
  if (listed === null) {
    throw new CommandFailed(
      "The stacks cannot be listed",
      `Pulumi does not reach its backend (${url || "from Pulumi.yaml"})`,
      "./fleet pulumi stack ls shows its own words",
    );
  }
  return (JSON.parse(listed) as { name: string }[]).some(
    ({ name }) => name === stack || name.endsWith(`/${stack}`),
  );
}

/** Settings a newcomer starts with. */
const FIRST_SETTINGS = firstSettings({ models: "demo" });

/** Path of a stack's settings. */
export function settingsFile(stack: string): string {
  return join(PROJECT_ROOT, `Pulumi.${stack}.yaml`);
}

/**
 * Makes the stack ready for its first \`up\`. Only \`dev\` gets settings by itself; any other stack
 * without a file is more likely a slip of the keyboard than a wish.
 */
export function createStack(runner: PulumiRunner, stack: string): void {
  const file = settingsFile(stack);
  if (!existsSync(file)) {
    if (stack !== "dev") throw noSettings(stack);
    writeFileSync(file, FIRST_SETTINGS, { flag: "wx" });
    process.stderr.write(`fleet: wrote Pulumi.${stack}.yaml with the first settings\n`);
  }
  if (stackExists(runner, stack)) return;
  const provider = providerOption(readFileSync(file, "utf8"));
  const args = ["stack", "init", stack, ...provider, "--non-interactive"];
  const result = spawnSync(runner.pulumi, args, {
    cwd: PROJECT_ROOT,
    env: runner.env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (result.status !== 0) {
    throw new CommandFailed(
      `Stack ${stack} cannot be created`,
      `${result.stderr || result.stdout || result.error?.message}`.trim(),
      "mend that, then run up again",
    );
  }
  putSaltFirst(stack);
}

/** `stack init` asks for who encrypts secrets and does not look into the file, where a person wrote it. */
function providerOption(text: string): string[] {
  const provider = secretsProviderOf(text);
  return provider === undefined ? [] : ["--secrets-provider", provider];
}

/** See {@link saltFirst}. Called when Pulumi may have written to the stack's file. */
export function putSaltFirst(stack: string): void {
  const file = settingsFile(stack);
  if (!existsSync(file)) return;
  const text = readFileSync(file, "utf8");
  const better = saltFirst(text);
  if (better !== text) writeFileSync(file, better);
}

function noSettings(stack: string): CommandFailed {
  return new CommandFailed(
    `Stack ${stack} has no settings`,
    `Pulumi.${stack}.yaml is not there`,
    `./fleet init --stack ${stack} writes it, or check the name`,
  );
}

/**
 * A place for previewing a stack that does not exist: a backend and a settings file in a temporary
 * folder, so that looking creates nothing. The caller calls \`remove\`.
 */
export function throwawayStack(
  runner: PulumiRunner,
  stack: string,
): { runner: PulumiRunner; args: string[]; remove: () => void } {
  const existing = settingsFile(stack);
  if (!existsSync(existing) && stack !== "dev") throw noSettings(stack);
  const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-preview-"));
  const file = join(folder, `Pulumi.${stack}.yaml`);
  const text = existsSync(existing)
    ? withoutUnusedProvider(readFileSync(existing, "utf8"))
    : FIRST_SETTINGS;
  writeFileSync(file, text, { mode: 0o600 });
  // `stack init` takes no other settings file, so it runs in a project that has only a name.
  writeFileSync(join(folder, "Pulumi.yaml"), `name: ${PROJECT}\nruntime: nodejs\n`);
  const env: NodeJS.ProcessEnv = { ...runner.env, PULUMI_BACKEND_URL: `file://${folder}` };
  const passphrase = env.PULUMI_CONFIG_PASSPHRASE_FILE;
  // None at all is needed where a key of a cloud encrypts the stack's secrets.
  const none = passphrase === undefined && env.PULUMI_CONFIG_PASSPHRASE === undefined;
  const unsealed = !/^encryptionsalt: /m.test(text);
  if ((passphrase && !existsSync(passphrase)) || (none && unsealed)) {
    env.PULUMI_CONFIG_PASSPHRASE = "of a stack that will be thrown away";
    delete env.PULUMI_CONFIG_PASSPHRASE_FILE;
  }
  const args = ["--config-file", file];
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const inner = { ...runner, env };
  if (askPulumi(inner, ["stack", "init", stack, ...providerOption(text)], folder) === null) {
    remove();
    throw new CommandFailed(
      `Stack ${stack} does not exist, and cannot be tried out`,
      "a temporary copy of it could not be made",
      `./fleet up --stack ${stack} creates it`,
    );
  }
  return { runner: inner, args, remove };
}

/** Refuses a stack that is not there, for commands that read or remove. */
export function requireStack(runner: PulumiRunner, stack: string): void {
  if (stackExists(runner, stack)) return;
  throw new NotUpYet(
    `Stack ${stack} does not exist`,
    "it was never brought up from here, or it lives in another backend",
    `./fleet up --stack ${stack} creates it; ./fleet pulumi stack ls lists what there is`,
  );
}

/** The name as Pulumi and the data folders take it. */
export function checkStackName(stack: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/.test(stack)) {
    throw new UsageError(
      `${stack} is no name for a stack: letters, digits, - _ . only, beginning with a letter or digit`,
    );
  }
  if (stack === "pulumi") {
    throw new UsageError("pulumi is no name for a stack: Pulumi's own state lies under it");
  }
}
