import { randomBytes } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { ComposePlan } from "../../components/compose/plan.ts";

/** What became of the secrets' files. */
export interface Secrets {
  /** Made now, at random. */
  readonly made: readonly string[];
  /** There before, or taken from where the command runs. */
  readonly given: readonly string[];
  /** A person has to put them there. */
  readonly missing: readonly string[];
}

/** Writes everything but secrets anew. */
export function writeFolder(
  folder: string,
  plan: ComposePlan,
  archives: Record<string, string>,
): void {
  for (const [path, content] of Object.entries(plan.files)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    // The container's user is none of this machine's, whatever the umask here.
    chmodSync(dirname(file), 0o755);
    chmodSync(file, 0o644);
  }
  mkdirSync(join(folder, "release"), { recursive: true });
  for (const [name, source] of Object.entries(archives)) {
    copyFileSync(source, join(folder, "release", name));
  }
}

/**
 * Puts each secret into its file, and leaves one that is there as it is: the token in use stays. The folder
 * is its owner's alone; the files can be read, for inside the container somebody else reads them, and the
 * folder is not there.
 */
export function writeSecrets(
  folder: string,
  names: readonly string[],
  {
    values,
    random,
  }: { values: Readonly<Record<string, string>>; random: (name: string) => boolean },
): Secrets {
  const dir = join(folder, "secrets");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const made: string[] = [];
  const given: string[] = [];
  const missing: string[] = [];
  for (const name of names) {
    const file = join(dir, name);
    if (existsSync(file) && readFileSync(file, "utf8").trim() !== "") {
      given.push(name);
      continue;
    }
    const value =
      values[name] ?? (random(name) ? randomBytes(32).toString("base64url") : undefined);
    // A file that is not there would stop Compose with words of its own; an empty one stops the node with ours.
    writeFileSync(file, value ?? "", { mode: 0o644 });
    (value === undefined ? missing : values[name] === undefined ? made : given).push(name);
  }
  return { made, given, missing };
}
