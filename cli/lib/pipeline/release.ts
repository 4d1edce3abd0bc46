import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";
import { CommandFailed } from "../errors.ts";

/** A file in which the version stands. */
export interface VersionPlace {
  readonly file: string;
  readonly version: string | null;
}

const JSON_FILES: readonly string[] = [
  "package.json",
  "package-lock.json",
  "policies/package.json",
  "policies/package-lock.json",
];
/** Where it stands in other forms. */
const TEXTS: readonly (readonly [file: string, pattern: RegExp])[] = [
  ["policies/PulumiPolicy.yaml", /^version: (\S+)$/m],
  ["plugin/server.ts", /^export const PROVIDER_VERSION = "([^"]+)";$/m],
];

/** Every place that says which version this is. */
export function versionPlaces(root = PROJECT_ROOT): VersionPlace[] {
  const json = JSON_FILES.map((file) => {
    const { version } = JSON.parse(readFileSync(join(root, file), "utf8")) as { version?: string };
    return { file, version: version ?? null };
  });
  const texts = TEXTS.map(([file, pattern]) => {
    const version = pattern.exec(readFileSync(join(root, file), "utf8"))?.[1] ?? null;
    return { file, version };
  });
  return [...json, ...texts, { file: "CHANGELOG.md", version: newestEntry(changelog(root)) }];
}

const changelog = (root: string): string => readFileSync(join(root, "CHANGELOG.md"), "utf8");
const HEADING = /^## (\d+\.\d+\.\d+(?:-[\w.]+)?)(?: .*)?$/m;

/** Version of the first entry. */
export const newestEntry = (text: string): string | null => HEADING.exec(text)?.[1] ?? null;

/** What the changelog says of a version; null when it says nothing. */
export function entryOf(text: string, version: string): string | null {
  const parts = text.split(/^(?=## )/m);
  const part = parts.find((one) => HEADING.exec(one)?.[1] === version);
  const words = part?.split("\n").slice(1).join("\n").trim();
  return words ? words : null;
}

/**
 * What a tag `v<version>` releases: its version and the changelog's words on it.
 * @throws CommandFailed that lists every place which says otherwise.
 */
export function checkRelease(tag: string, root = PROJECT_ROOT): { version: string; notes: string } {
  const version = /^v(\d+\.\d+\.\d+(?:-[\w.]+)?)$/.exec(tag)?.[1];
  if (version === undefined) {
    throw new CommandFailed(`${tag} is no tag of a release`, undefined, "v<version>, e.g. v1.2.3");
  }
  const wrong = versionPlaces(root).filter((place) => place.version !== version);
  if (wrong.length > 0) {
    throw new CommandFailed(
      `${tag} does not agree with the tree`,
      wrong.map(({ file, version }) => `${file} says ${version ?? "nothing"}`).join("; "),
      "change these and commit, then tag that commit",
    );
  }
  const notes = entryOf(changelog(root), version);
  if (notes === null) {
    throw new CommandFailed(
      `CHANGELOG.md says nothing of ${version}`,
      `there is a heading "## ${version}" without words below it`,
      "write what a person must know before they update",
    );
  }
  return { version, notes };
}

/**
 * Packs what the tag's commit has (nothing untracked, no history) and its checksum. The same commit
 * makes the same bytes.
 */
export function packRelease(
  { tag, version, out }: { tag: string; version: string; out: string },
  root = PROJECT_ROOT,
): string[] {
  mkdirSync(out, { recursive: true });
  const name = `openclaw-fleet-${version}`;
  const archive = join(out, `${name}.tar.gz`);
  const args = ["archive", "--format=tar.gz", `--prefix=${name}/`, `--output=${archive}`, tag];
  const run = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  if (run.status !== 0) {
    throw new CommandFailed(
      `${tag} cannot be packed`,
      run.stderr.trim(),
      "git fetch --tags; in CI check out the tag",
    );
  }
  const sum = createHash("sha256").update(readFileSync(archive)).digest("hex");
  const sums = join(out, "SHA256SUMS");
  writeFileSync(sums, `${sum}  ${name}.tar.gz\n`);
  return [archive, sums];
}
