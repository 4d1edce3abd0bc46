import { createHash, type Hash } from "node:crypto";
import { createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type CacheOptions, cacheEntry } from "./cache.ts";
import { type TarEntry, tar } from "./tar.ts";

/** What goes into a part, in order; folders before what is in them. */
export type PartFiles = readonly TarEntry[];

/** One folder of a release, packed. */
export interface HostPart {
  /** Name of the folder. */
  readonly name: string;
  /** SHA-256 of {@link manifest}: names the content. */
  readonly id: string;
  /** The packed file: a tar by gzip, which every Debian and Ubuntu can unpack as installed. */
  readonly archive: string;
  /** SHA-256 of the packed file. */
  readonly sha256: string;
  /** Size of the packed file, bytes. */
  readonly bytes: number;
  /** Sum of the files' sizes, bytes. */
  readonly unpackedBytes: number;
  /** File with one line a file, `<SHA-256>  <path>`, sorted: what `sha256sum --check` reads. */
  readonly manifest: string;
  /** SHA-256 of what {@link SHAPE} prints on the host. */
  readonly shape: string;
}

/**
 * Prints the shape of folder `$1` below the working directory: mode, size and path of every file. It finds
 * what is missing, added or cut short in a fraction of a second, where reading every file would take several.
 */
export const SHAPE =
  "find \"$1\" -type f -printf '%m %s %p\\n' -o ! -type d -printf '%y %p\\n' | LC_ALL=C sort";

const ARCHIVE = "part.tar.gz";
const MANIFEST = "manifest";
const FACTS = "facts.json";

type Facts = Omit<HostPart, "archive" | "manifest" | "name">;

/** A part, packed once and kept in the cache under its key. */
export async function packPart(
  name: string,
  key: string,
  collect: () => Promise<PartFiles>,
  options: CacheOptions,
): Promise<HostPart> {
  const folder = await cacheEntry(
    `host-${name}`,
    key,
    async (work) => {
      const files = await collect();
      const step = options.progress.step(`${name} for hosts`, `packing ${files.length} files`);
      const facts = await pack(files, work, (done) => step.note(`${done} % packed`));
      writeFileSync(join(work, FACTS), JSON.stringify(facts));
      step.done(`packed, ${Math.ceil(facts.bytes / 2 ** 20)} MiB,`);
    },
    options,
  );
  const facts = JSON.parse(readFileSync(join(folder, FACTS), "utf8")) as Facts;
  return { name, ...facts, archive: join(folder, ARCHIVE), manifest: join(folder, MANIFEST) };
}

async function pack(
  files: PartFiles,
  folder: string,
  onPercent: (percent: number) => void,
): Promise<Facts> {
  const sums = new Map<string, Hash>();
  const unpackedBytes = files.reduce((all, { size }) => all + size, 0);
  let done = 0;
  const packed = createHash("sha256");
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      packed.update(chunk);
      bytes += chunk.length;
      next(null, chunk);
    },
  });
  const content = tar(files, ({ path }, chunk) => {
    const sum = sums.get(path) ?? createHash("sha256");
    sums.set(path, sum.update(chunk));
    done += chunk.length;
    onPercent(Math.floor((100 * done) / Math.max(1, unpackedBytes)));
  });
  await pipeline(
    content,
    createGzip({ level: 6 }),
    counted,
    createWriteStream(join(folder, ARCHIVE)),
  );
  const empty = createHash("sha256").digest("hex");
  const lines = files
    .filter(({ source }) => source !== undefined)
    .map(({ path }) => `${sums.get(path)?.digest("hex") ?? empty}  ${path}\n`);
  const manifest = sorted(lines.map((line) => [line.slice(66), line])).join("");
  writeFileSync(join(folder, MANIFEST), manifest);
  return {
    id: digestOf(manifest),
    sha256: packed.digest("hex"),
    bytes,
    unpackedBytes,
    shape: digestOf(shapeOf(files)),
  };
}

/** What {@link SHAPE} prints for these files. */
export function shapeOf(files: PartFiles): string {
  const lines = files
    .filter(({ source }) => source !== undefined)
    .map(({ path, size, executable }) => `${executable ? 755 : 644} ${size} ${path}\n`);
  return sorted(lines.map((line) => [line.slice(0, -1), line])).join("");
}

/** In the order of `LC_ALL=C sort`: by bytes. */
function sorted(pairs: [key: string, line: string][]): string[] {
  return pairs
    .map(([key, line]) => ({ key: Buffer.from(key), line }))
    .sort((a, b) => Buffer.compare(a.key, b.key))
    .map(({ line }) => line);
}

const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex");
