import { createReadStream } from "node:fs";
import { HOST_PATHS } from "../../components/host/types.ts";
import { IN_USE_FILE } from "../../gateway/supervisor/releases.ts";
import { type HostPart, SHAPE } from "../../toolchain/host-part.ts";
import type { ExecOptions, ExecResult, HostShell } from "./shell.ts";

/** What names a part on a host: its content, and what tells a damage quickly. */
export type PartMark = Pick<HostPart, "name" | "id" | "shape">;

/** Arrived, but not unpacked yet. */
const INCOMING = `${HOST_PATHS.root}/incoming`;
/** Another line of progress after so much, percent. */
const STEP_PERCENT = 5;

/**
 * Releases on one host. Each is a folder of parts; `parts/<name>` in it lists a part's files with their
 * digests, and the list's own digest is the part's id. Parts that a host has are linked, not sent again.
 */
export class HostReleases {
  readonly #shell: HostShell;
  readonly #signal: AbortSignal | undefined;

  constructor(shell: HostShell, signal?: AbortSignal) {
    this.#shell = shell;
    this.#signal = signal;
  }

  /** What is wrong with a release: null when it is whole, `missing`, or what is damaged. */
  async fault(id: string, parts: readonly PartMark[]): Promise<string | null> {
    const marks = parts.flatMap(({ name, id: part, shape }) => [name, part, shape]);
    const { stdout } = await this.#run(CHECK, [releaseFolder(id), ...marks]);
    const said = stdout.trim();
    return said === "whole" ? null : said;
  }

  /** Puts a release there, or what is missing of it. Afterwards it is whole, or this throws. */
  async put(
    id: string,
    parts: readonly HostPart[],
    say: (line: string) => void,
  ): Promise<{ sentBytes: number }> {
    const partial = `${releaseFolder(id)}.partial`;
    await this.#run(BEGIN, [partial, INCOMING]);
    let sentBytes = 0;
    for (const part of parts) {
      const { name, id: digest, shape } = part;
      const linked = await this.#run(LINK, [HOST_PATHS.releases, partial, name, digest, shape]);
      if (linked.stdout.trim() === "linked") continue;
      sentBytes += await this.#send(part, say);
      say(`unpacking ${name}`);
      await this.#run(UNPACK, [archivePath(part), partial, name, digest]);
    }
    await this.#run(FINISH, [partial, releaseFolder(id)]);
    return { sentBytes };
  }

  /** Sends a packed part, or the rest of it. Returns how many bytes had to go. */
  async #send(part: HostPart, say: (line: string) => void): Promise<number> {
    const path = archivePath(part);
    const { stdout } = await this.#run(SIZE, [path, String(part.bytes)]);
    const there = Number(stdout.trim());
    if (there < part.bytes) {
      const stdin = counted(part, there, say);
      await this.#run(APPEND, [path], { stdin });
    }
    const { code } = await this.#shell.exec(script(VERIFY, [path, part.sha256]), this.#options());
    if (code !== 0) {
      throw new Error(
        `${part.name} of the release did not arrive as it was sent. It was removed there; run the command again`,
      );
    }
    return part.bytes - there;
  }

  /**
   * Removes every release but these, those that run here or are named by a unit, and one with each OpenClaw that a
   * shard of the fleet runs. Returns what it removed.
   */
  async prune(keep: readonly string[]): Promise<string[]> {
    const inUse = `${HOST_PATHS.data}/${IN_USE_FILE}`;
    const { stdout } = await this.#run(PRUNE, [HOST_PATHS.releases, INCOMING, inUse, ...keep]);
    return stdout.split("\n").filter(Boolean);
  }

  /** Removes all releases. */
  async removeAll(): Promise<void> {
    await this.#run(REMOVE, [HOST_PATHS.root, HOST_PATHS.releases, INCOMING]);
  }

  async #run(text: string, args: readonly string[], more: ExecOptions = {}): Promise<ExecResult> {
    const result = await this.#shell.exec(script(text, args), { ...this.#options(), ...more });
    if (result.code === 0) return result;
    const said = result.stderr.trim().split("\n").slice(-3).join("; ");
    throw new Error(said || `a step on the host ended with ${result.code}`);
  }

  #options(): ExecOptions {
    return this.#signal ? { signal: this.#signal } : {};
  }
}

const releaseFolder = (id: string): string => `${HOST_PATHS.releases}/${id}`;
const archivePath = ({ sha256 }: HostPart): string => `${INCOMING}/${sha256}.tar.gz`;
const script = (text: string, args: readonly string[]) => ["sh", "-euc", text, "sh", ...args];

async function* counted(
  { archive, name, bytes }: HostPart,
  from: number,
  say: (line: string) => void,
): AsyncGenerator<Buffer> {
  let sent = from;
  let said = -STEP_PERCENT;
  const mib = (n: number) => Math.round(n / 2 ** 20);
  for await (const chunk of createReadStream(archive, { start: from, highWaterMark: 2 ** 18 })) {
    const percent = Math.floor((100 * sent) / bytes);
    if (percent >= said + STEP_PERCENT) {
      said = percent;
      say(`sending ${name}: ${percent} %, ${mib(sent)} of ${mib(bytes)} MiB`);
    }
    yield chunk as Buffer;
    sent += (chunk as Buffer).length;
  }
}

/** `$1`: a part's folder, relative to the working directory. */
const SHAPE_OF = `shape_of() { test -d "$1" && { set -- "$1"; ${SHAPE}; } | sha256sum | cut -d ' ' -f 1; }`;
const DIGEST_OF = `digest_of() { sha256sum < "$1" | cut -d ' ' -f 1; }`;

/** Folder, then name, id and shape of each part. */
const CHECK = `${SHAPE_OF}; ${DIGEST_OF}
cd "$1" 2>/dev/null || { echo missing; exit 0; }
shift
while test $# -gt 0; do
  if ! test -e "parts/$1" || test "$(digest_of "parts/$1")" != "$2"; then
    echo "$1 is another one"; exit 0
  fi
  test "$(shape_of "$1" || :)" = "$3" || { echo "$1 is damaged"; exit 0; }
  shift 3
done
echo whole`;

const BEGIN = `rm -rf "$1"
mkdir -p "$1/parts" "$2"
chmod 0755 "$(dirname "$(dirname "$1")")" "$(dirname "$1")" "$1" "$1/parts"
chmod 0700 "$2"`;

/** Every file is linked: two releases share what they have in common. */
const LINK = `${SHAPE_OF}; ${DIGEST_OF}
for release in "$1"/*; do
  case $release in *.partial) continue ;; esac
  test -e "$release/parts/$3" && test "$(digest_of "$release/parts/$3")" = "$4" || continue
  test "$(cd "$release" && shape_of "$3" || :)" = "$5" || continue
  cp -al "$release/$3" "$2/$3"
  cp -al "$release/parts/$3" "$2/parts/$3"
  echo linked
  exit 0
done`;

const SIZE = `size=$(stat -c %s "$1" 2>/dev/null || echo 0)
if test "$size" -gt "$2"; then rm -f "$1"; size=0; fi
echo "$size"`;

const APPEND = `cat >> "$1"`;

const VERIFY = `echo "$2  $1" | sha256sum --check --status || { rm -f "$1"; exit 1; }`;

/** The list that is made here of what was unpacked must be the list that was made when it was packed. */
const UNPACK = `${DIGEST_OF}
rm -rf "$2/$3"
tar -xzf "$1" -C "$2" --no-same-owner
cd "$2"
find "$3" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum > "parts/$3"
if test "$(digest_of "parts/$3")" != "$4"; then
  echo "$3 of the release is not what was packed; is the disk well?" >&2
  exit 1
fi
rm -f "$1"`;

const FINISH = `sync -f "$1"
rm -rf "$2"
mv "$1" "$2"
sync -f "$2"`;

/**
 * In use: a process runs a program of it, or a unit names it. A shard's next owner needs the OpenClaw that the shard
 * runs; where none that stays has that one (`<version>-<digest>`), the newest that has it stays.
 */
const PRUNE = `releases=$1 incoming=$2 used=$3
shift 3
if test -f "$used"; then
  while read -r version; do
    for kept in "$@"; do test "\${kept%-*}" != "$version" || continue 2; done
    for name in $(ls -1t "$releases"); do
      test "\${name%-*}" = "$version" || continue
      case $name in *.partial) continue ;; esac
      set -- "$@" "$name"
      break
    done
  done < "$used"
fi
for release in "$releases"/*; do
  test -d "$release" || continue
  name=\${release##*/}
  for kept in "$@"; do test "$name" != "$kept" || continue 2; done
  ! ls -l /proc/[0-9]*/exe 2>/dev/null | grep -qF " $release/" || continue
  ! grep -rqsF "$release/" /etc/systemd/system || continue
  rm -rf "$release"
  echo "$name"
done
rm -rf "$incoming"`;

const REMOVE = `rm -rf "$2" "$3"
test ! -d "$1" || rmdir --ignore-fail-on-non-empty "$1"`;
