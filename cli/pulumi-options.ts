import { spawnSync } from "node:child_process";
import { UsageError } from "./lib/errors.ts";
import { didYouMean } from "./lib/nearest.ts";

/** Options that the commands themselves take before the rest is handed on to Pulumi. */
const OURS: readonly string[] = ["--stack", "--yes", "--wait", "--markdown", "--help"];

/**
 * Refuses an option that Pulumi's command does not have, before anything is made for it. Pulumi says so itself: with
 * `--help` it reads all options and then does nothing else.
 * @param verb e.g. `stack output`
 * @throws UsageError naming the option, and the nearest one
 */
export function checkPulumiOptions(pulumi: string, verb: string, args: readonly string[]): void {
  if (!args.some((arg) => arg.startsWith("-")) || args.includes("--")) return;
  const ask = (...options: readonly string[]) =>
    // First: at the end an option without its value would take it for one, and the command would be carried out.
    spawnSync(pulumi, [...verb.split(" "), "--help", ...options], {
      encoding: "utf8",
      env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
      stdio: ["ignore", "pipe", "pipe"],
    });
  const asked = ask(...args);
  const said =
    /unknown (?:flag: (--\S+)|shorthand flag: '(.)' in \S+)|invalid argument .*|flag needs an argument: .*/.exec(
      `${asked.stderr}${asked.stdout}`,
    );
  if (asked.status === 0 || !said) return;
  const [problem, long, short] = said;
  const option = long ?? (short && `-${short}`);
  if (!option) throw new UsageError(`${verb}: ${problem}`);
  const theirs = ask().stdout.match(/(?<=^\s+(-\w, )?)--[\w-]+/gm) ?? [];
  const near = long ? didYouMean(long, [...OURS, ...theirs]) : "";
  throw new UsageError(
    `${verb} has no option ${option}.${near} ./fleet pulumi ${verb} --help lists them`,
  );
}
