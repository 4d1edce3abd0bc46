import { spawnSync } from "node:child_process";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";
import { CommandFailed } from "../errors.ts";

/** What decides a stack beside its own file: folders and files of the program. */
const DECIDES: readonly string[] = [
  ...["Pulumi.yaml", "package.json", "package-lock.json", "components", "gateway", "plugin"],
  ...["policies", "stacks", "toolchain"],
];

/** A commit that a change is compared with. */
export interface Base {
  /** As the person wrote it. */
  readonly ref: string;
  /** Where the change branched off. */
  readonly commit: string;
}

/** @throws CommandFailed when the reference is not in this clone. */
export function findBase(ref: string, root = PROJECT_ROOT): Base {
  const commit = git(root, "merge-base", ref, "HEAD");
  if (commit === null) {
    throw new CommandFailed(
      `--base ${ref} cannot be compared with`,
      "it is no commit of this clone, or has nothing in common with this one",
      `git fetch origin ${ref.replace(/^origin\//, "")}; in CI check out with fetch-depth: 0`,
    );
  }
  return { ref, commit: commit.trim() };
}

/** A file as the base has it; null where it has none. */
export const fileAt = ({ commit }: Base, path: string, root = PROJECT_ROOT): string | null =>
  git(root, "show", `${commit}:${path}`);

/** Does anything differ from the base that decides the stack? Uncommitted changes count. */
export function differs({ commit }: Base, stack: string, root = PROJECT_ROOT): boolean {
  const paths = [...DECIDES, `Pulumi.${stack}.yaml`];
  const listed = git(root, "diff", "--name-only", commit, "--", ...paths);
  const fresh = git(root, "ls-files", "--others", "--exclude-standard", "--", ...paths);
  return `${listed ?? ""}${fresh ?? ""}`.trim() !== "";
}

function git(cwd: string, ...args: string[]): string | null {
  const run = spawnSync("git", args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 64 * 2 ** 20,
  });
  return run.status === 0 ? run.stdout : null;
}
