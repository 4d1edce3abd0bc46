import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROJECT_ROOT } from "../toolchain/paths.ts";
import { type Count, closingLine, countReport, failuresOf, readReport } from "./test-report.ts";

/** One program of a test run. */
export interface Step {
  name: string;
  /** Arguments of Node. */
  args: string[];
  /** Vitest counts its tests; any other program is one check. */
  vitest: boolean;
}

const vitest = (name: string, ...args: string[]): Step => ({
  name,
  args: [join("node_modules", "vitest", "vitest.mjs"), "run", ...args],
  vitest: true,
});

const CHECKS: readonly Step[] = [
  {
    name: "types",
    args: [join("node_modules", "typescript", "bin", "tsc"), "--noEmit"],
    vitest: false,
  },
  {
    name: "format and lint",
    args: [join("node_modules", "@biomejs", "biome", "bin", "biome"), "check"],
    vitest: false,
  },
];

/** Tests without an engine that look at whole stacks, of which each run takes a share. */
const IN_PROCESS = join("test", "stacks", "aws", "standin.test.ts");

/** Tests of replicas that kill writers and replicators: a few times in each run, in a full one a thousand. */
const KILLED_REPLICAS = ["replicator", "databases"].map((name) =>
  join("test", "gateway", "replication", `${name}.test.ts`),
);

/** What a part runs; null when there is no such part. A path is a part. `full`: also what takes hours. */
export function stepsOf(part: string | undefined, full = false): readonly Step[] | null {
  if (part === "engine" && full) {
    return [
      vitest("stacks in process", "--project", "unit", IN_PROCESS),
      vitest("engine", "--project", "real", "test/engine"),
    ];
  }
  if (part === "hosts" && full) {
    return [
      vitest("replicas under kills", "--project", "unit", ...KILLED_REPLICAS),
      vitest("hosts", "--project", "real", "test/hosts"),
    ];
  }
  switch (part) {
    case undefined:
      return [...CHECKS, vitest("unit", "--project", "unit"), vitest("real", "--project", "real")];
    case "check":
      return CHECKS;
    case "unit":
    case "real":
      return [vitest(part, "--project", part)];
    case "engine":
    case "fleet":
    case "hosts":
      return [vitest(part, "--project", "real", `test/${part}`)];
    case "bench":
      return [{ name: "bench", args: [join("test", "bench", "main.ts")], vitest: false }];
    default:
      return existsSync(join(PROJECT_ROOT, part)) ? [vitest(part, part)] : null;
  }
}

/** True when tests among these make hosts, for which there must be an image. */
export function wantsHosts(steps: readonly Step[]): boolean {
  return steps.some(({ vitest: isVitest, args }) => {
    if (!isVitest) return false;
    const paths = args.filter((argument) => /^(\.\/)?test(\/|$)/.test(argument));
    if (paths.length === 0) return args.includes("real");
    return paths.some((path) => /^(\.\/)?test(\/?$|\/hosts)/.test(path));
  });
}

/**
 * Runs the steps one after another, whatever each comes to, and adds up. What failed is said again
 * at the end: an hour of output lies between it and the person who looks at the last lines.
 */
export async function runSteps(
  steps: readonly Step[],
  extra: readonly string[],
  options: { env: NodeJS.ProcessEnv; deadline: number; say: (line: string) => void },
): Promise<Count> {
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  const failures: string[] = [];
  const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-test-"));
  const children = new Set<ChildProcess>();
  let stopped = false;
  // A terminal's Ctrl-C reaches the step as well. It is waited for: it has something to clean up.
  const interrupt = () => {
    stopped = true;
  };
  const terminate = () => {
    stopped = true;
    for (const child of children) child.kill("SIGTERM");
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", terminate);
  try {
    for (const [index, step] of steps.entries()) {
      if (stopped) break;
      const begun = performance.now();
      options.say(`fleet: test: ${step.name}`);
      const file = join(folder, `${index}.json`);
      const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
      const args = [...step.args, ...(step.vitest ? [...reporters, ...extra] : extra)];
      const code = await runNode(args, children, options);
      const report = step.vitest ? readReport(file) : null;
      const count = step.vitest
        ? countReport(report, code)
        : { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
      if (count.failed > 0) {
        const named = report === null ? [] : failuresOf(report, PROJECT_ROOT);
        // An error outside every test, or a part that was ended, has no test to name.
        const unnamed = `no test of it is to blame: it ended with ${code}; its output says more`;
        failures.push(
          ...(named.length > 0 ? named : [unnamed]).map((one) => `${step.name}: ${one}`),
        );
      }
      total.passed += count.passed;
      total.failed += count.failed;
      total.skipped += count.skipped;
      const seconds = Math.round((performance.now() - begun) / 1000);
      options.say(`fleet: test: ${step.name}: ${closingLine(count)} in ${seconds} s`);
    }
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", terminate);
    rmSync(folder, { recursive: true, force: true });
  }
  for (const failure of failures) options.say(`fleet: test: failed: ${failure}`);
  return total;
}

/** After the deadline a step is asked to end, and ten seconds later made to. */
async function runNode(
  args: string[],
  children: Set<ChildProcess>,
  { env, deadline, say }: { env: NodeJS.ProcessEnv; deadline: number; say: (l: string) => void },
): Promise<number> {
  const left = deadline - performance.now();
  if (left <= 0) {
    say("fleet: test: no time left for this part");
    return 1;
  }
  const child = spawn(process.execPath, args, {
    cwd: PROJECT_ROOT,
    env,
    stdio: ["ignore", "inherit", "inherit"],
  });
  children.add(child);
  const timers = [
    setTimeout(() => {
      say("fleet: test: out of time, stopping this part");
      child.kill("SIGINT");
    }, left),
    setTimeout(() => child.kill("SIGKILL"), left + 10_000),
  ];
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? 1));
    });
  } finally {
    children.delete(child);
    for (const timer of timers) clearTimeout(timer);
  }
}
