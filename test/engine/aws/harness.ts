import { execFile } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { WorldStore } from "../../standin/store.ts";
import type { AccountSettings, World } from "../../standin/world.ts";
import { FULL } from "../../support/share.ts";
import { PULUMI, type Run } from "../fixtures/project.ts";

const ROOT = join(import.meta.dirname, "../../..");

export { PULUMI };

/** Longest time of a test or hook that changes whole stacks, on a machine that has more to do, ms. */
export const LONG_MS = FULL ? 3_600_000 : 900_000;

/** One resource of an exported state. */
export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly custom?: boolean;
  readonly id?: string;
  readonly inputs?: Record<string, unknown>;
  readonly outputs?: Record<string, unknown>;
  readonly parent?: string;
  readonly provider?: string;
  readonly dependencies?: readonly string[];
  readonly propertyDependencies?: Readonly<Record<string, readonly string[]>>;
  readonly deletedWith?: string;
  readonly protect?: boolean;
}

/** Goes before what is on PATH. */
const OWN_PROVIDER = ["plugins:", "  providers:", "    - name: openclaw", "      path: ./plugin"];

export interface StackOptions {
  /** Lines of YAML below `config:` in the stack's file. */
  readonly settings?: readonly string[];
  /** @default test */
  readonly stack?: string;
  /** The program, relative to the project's root. @default stacks/index.ts */
  readonly program?: string;
  /** What the account has before. */
  readonly account?: AccountSettings;
  /** Another stack's, to share its account. */
  readonly beside?: AwsStack;
  /** Longest random delay of an answer, ms. @default 0 */
  readonly delayMs?: number;
  /** The project's own provider works, on hosts that are there; false: a stand-in of it. @default false */
  readonly ownProvider?: boolean;
  /** Folder with programs that each run finds before others of their names. @default none */
  readonly programs?: string;
  /** Added to the environment of each run. @default nothing */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunOptions {
  readonly seed?: number | string;
  /** E.g. `create:17:lost`, or `first:0/3`. */
  readonly fault?: string;
  /** What does not wait for what failed is done all the same. */
  readonly goOn?: boolean;
  /** Ends of URNs of resources that are only said to exist. */
  readonly ghosts?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A stack on the stand-in for AWS, under the real engine. */
export interface AwsStack {
  readonly home: string;
  readonly file: string;
  preview(options?: RunOptions): Promise<Run>;
  up(options?: RunOptions): Promise<Run>;
  refresh(options?: RunOptions): Promise<Run>;
  destroy(options?: RunOptions): Promise<Run>;
  pulumi(args: readonly string[], options?: RunOptions): Promise<Run>;
  settings(lines: readonly string[]): void;
  /** The exported state as text, and its resources; with secrets opened when asked. */
  state(options?: {
    secrets?: boolean;
  }): Promise<{ text: string; resources: readonly StateResource[] }>;
  /** Looks into the account, or changes it behind the stack's back. */
  account<T>(look: (world: World) => T): T;
  remove(): void;
}

/** Makes a stack with its own state; remove it afterwards. */
export async function awsStack(options: StackOptions = {}): Promise<AwsStack> {
  const { stack = "test", program = "stacks/index.ts", beside, delayMs = 0 } = options;
  const home = mkdtempSync(join(tmpdir(), "fleet-aws-"));
  const dir = join(home, "clone");
  mkdirSync(dir);
  mkdirSync(join(home, "state"));
  for (const name of [
    "components",
    "plugin",
    "gateway",
    "toolchain",
    "node_modules",
    "package.json",
  ]) {
    symlinkSync(join(ROOT, name), join(dir, name));
  }
  // Copies, because a program's working directory is where it really lies.
  for (const folder of new Set(["stacks", dirname(program)])) {
    cpSync(join(ROOT, folder), join(dir, folder), { recursive: true });
  }
  writeFileSync(
    join(dir, "Pulumi.yaml"),
    [
      "name: openclaw-fleet",
      "runtime:",
      "  name: nodejs",
      "  options:",
      "    typescript: false",
      `main: ${program}`,
      ...(options.ownProvider ? OWN_PROVIDER : []),
      "",
    ].join("\n"),
  );
  const file = beside?.file ?? join(home, "account.sqlite");
  const stackFile = join(dir, `Pulumi.${stack}.yaml`);
  const host =
    process.env.OPENCLAW_FLEET_LANGUAGE_HOST ?? join(ROOT, "toolchain/language-host/bin");
  const base: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: [
      ...(options.programs ? [options.programs] : []),
      ...[host, join(ROOT, "test/standin/bin"), dirname(process.execPath), process.env.PATH],
    ].join(":"),
    HOME: home,
    PULUMI_HOME: join(home, "pulumi"),
    PULUMI_BACKEND_URL: `file://${join(home, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "test",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    OPENCLAW_FLEET_NODE: process.execPath,
    OPENCLAW_DATA_DIR: join(home, "data"),
    NO_COLOR: "1",
    STANDIN_ACCOUNT: file,
    STANDIN_DELAY_MS: String(delayMs),
    ...options.env,
  };
  const pulumi = (args: readonly string[], { seed, fault, ghosts, env }: RunOptions = {}) =>
    new Promise<Run>((resolve) => {
      execFile(
        PULUMI as string,
        [...args, "--non-interactive"],
        {
          cwd: dir,
          env: {
            ...base,
            ...(seed === undefined ? {} : { STANDIN_SEED: String(seed) }),
            ...(fault ? { STANDIN_FAULT: fault } : {}),
            ...(ghosts ? { STANDIN_GHOSTS: ghosts.join(",") } : {}),
            ...env,
          },
          maxBuffer: 2 ** 28,
        },
        (error, stdout, stderr) => {
          const code = error ? (typeof error.code === "number" ? error.code : 255) : 0;
          resolve({ code, text: stdout + stderr, stdout });
        },
      );
    });
  const account = <T>(look: (world: World) => T): T => {
    const store = new WorldStore(file);
    try {
      return store.work(look);
    } finally {
      store.close();
    }
  };
  /** Faults count calls from the beginning of each run. */
  const fresh = () =>
    account((world) => {
      for (const op of ["create", "update", "delete"]) world.counts[op] = 0;
    });
  const change =
    (command: string, ...more: string[]) =>
    (run?: RunOptions) => {
      fresh();
      const on = run?.goOn ? ["--continue-on-error"] : [];
      return pulumi([command, "--yes", "--skip-preview", "--stack", stack, ...more, ...on], run);
    };
  const made: AwsStack = {
    home,
    file,
    pulumi,
    preview: (run) => pulumi(["preview", "--stack", stack, "--diff"], run),
    up: change("up"),
    refresh: change("refresh"),
    destroy: change("destroy"),
    settings(lines) {
      const salt = /^encryptionsalt:.*$/m.exec(readIfThere(stackFile))?.[0];
      const text = ["config:", ...lines.map((line) => `  ${line}`), salt ?? ""].join("\n");
      writeFileSync(stackFile, `${text}\n`);
    },
    async state({ secrets = false } = {}) {
      const show = secrets ? ["--show-secrets"] : [];
      const { stdout } = await pulumi(["stack", "export", "--stack", stack, ...show]);
      const { deployment } = JSON.parse(stdout) as {
        deployment: { resources?: StateResource[] };
      };
      return { text: stdout, resources: deployment.resources ?? [] };
    },
    account,
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
  if (options.account) {
    account((world) => {
      world.settings = options.account as AccountSettings;
    });
  }
  made.settings(options.settings ?? []);
  const init = await pulumi(["stack", "init", stack]);
  if (init.code !== 0) throw new Error(init.text);
  return made;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
