import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { RunPluginRequest, RunRequest } from "@pulumi/pulumi/proto/language_pb.js";

/** Pulumi's runner ends so after it has shown the user what was wrong: nothing to add. */
const ALREADY_EXPLAINED = 32;

export interface ProgramResult {
  /** Empty when the program ended well or has explained itself. */
  error: string;
  bail: boolean;
}

/** Runs a Pulumi program with the runner of the SDK that the program itself uses. */
export async function runProgram(request: RunRequest, engine: string): Promise<ProgramResult> {
  const info = request.getInfo();
  const pwd = request.getPwd() || info?.getProgramDirectory() || process.cwd();
  const root = info?.getRootDirectory() || pwd;
  const args = [
    runnerIn(root, "run"),
    ...flag("monitor", request.getMonitorAddress()),
    ...flag("engine", engine),
    ...flag("organization", request.getOrganization()),
    ...flag("project", request.getProject()),
    ...flag("root-directory", root),
    ...flag("stack", request.getStack()),
    ...flag("pwd", pwd),
    ...(request.getDryrun() ? ["--dry-run"] : []),
    ...(request.getParallel() > 0 ? flag("parallel", String(request.getParallel())) : []),
    request.getProgram() || info?.getEntryPoint() || ".",
    ...request.getArgsList(),
  ];
  const child = spawn(process.execPath, args, {
    cwd: pwd,
    // stdout and stderr of this host are read by the engine and shown as the program's own words.
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().toArray())),
      PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
    },
  });
  const stop = () => child.kill();
  process.once("exit", stop);
  try {
    const { code, signal } = await exitOf(child);
    if (code === 0) return { error: "", bail: false };
    if (code === ALREADY_EXPLAINED) return { error: "", bail: true };
    const how = signal ? `was killed by ${signal}` : `ended with exit code ${code}`;
    return { error: `the program ${how}; its own words are above`, bail: false };
  } finally {
    process.removeListener("exit", stop);
  }
}

export interface RunningPlugin {
  ended: Promise<number>;
  kill(): void;
}

/** Runners of the SDK by kind of plugin. */
const PLUGIN_RUNNERS: Readonly<Record<string, string>> = {
  analyzer: "run-policy-pack",
  resource: "run-plugin",
};

/** Runs a policy pack or a provider written for Node. Its first line of stdout is its port. */
export function runPlugin(
  request: RunPluginRequest,
  listeners: { onStdout: (chunk: Buffer) => void; onStderr: (chunk: Buffer) => void },
): RunningPlugin {
  const info = request.getInfo();
  const folder = info?.getProgramDirectory() || request.getProgram();
  const runner = PLUGIN_RUNNERS[request.getKind() || "resource"];
  if (!runner) {
    const refused = Promise.reject(
      new Error(`Node plugins of kind ${request.getKind()} are not known to this language host`),
    );
    return { ended: refused, kill: () => undefined };
  }
  const pack = request.getKind() === "analyzer";
  const program = pack ? [...request.getArgsList(), folder] : [folder, ...request.getArgsList()];
  const child = spawn(process.execPath, [runnerIn(folder, runner), ...program], {
    // The policy SDK reads the pack's version from the working directory's package.json.
    cwd: pack ? folder : request.getPwd() || folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...fromList(request.getEnvList()) },
  });
  child.stdout.on("data", listeners.onStdout);
  child.stderr.on("data", listeners.onStderr);
  const stop = () => child.kill();
  process.once("exit", stop);
  const ended = exitOf(child).then(({ code }) => code ?? 1);
  void ended.finally(() => process.removeListener("exit", stop)).catch(() => undefined);
  return { ended, kill: stop };
}

function exitOf(
  child: ChildProcess,
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
}

/** The runner inside the SDK that `folder` sees; the project's own when it sees none. */
function runnerIn(folder: string, name: string): string {
  for (const from of [join(folder, "package.json"), import.meta.url]) {
    try {
      return createRequire(from).resolve(`@pulumi/pulumi/cmd/${name}`);
    } catch {
      // that place has no SDK: try the next
    }
  }
  throw new Error(`@pulumi/pulumi is not installed for ${folder}: run npm ci there`);
}

function flag(name: string, value: string): string[] {
  return value === "" ? [] : [`--${name}`, value];
}

function fromList(list: string[]): Record<string, string> {
  return Object.fromEntries(
    list.map((entry) => {
      const at = entry.indexOf("=");
      return [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}
