import { createReadStream, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** One entry of an archive. Its time and its owner are always the same: only content counts. */
export interface TarEntry {
  /** Path in the archive, with slashes; that of a directory ends in one. */
  readonly path: string;
  /** File that it is read from; missing for a directory. */
  readonly source?: string;
  readonly size: number;
  readonly executable: boolean;
}

const BLOCK = 512;
/** Two empty blocks end an archive. */
const END = Buffer.alloc(2 * BLOCK);

/** Entries for everything in a folder that `keep` lets through, sorted. Links are refused: unpacked elsewhere they lead elsewhere. */
export function entriesOf(
  folder: string,
  prefix: string,
  keep: (path: string) => boolean = () => true,
): TarEntry[] {
  const entries: TarEntry[] = [{ path: `${prefix}/`, size: 0, executable: true }];
  for (const name of readdirSync(folder).sort()) {
    const source = join(folder, name);
    const path = `${prefix}/${name}`;
    if (!keep(path)) continue;
    const stat = lstatSync(source);
    if (stat.isDirectory()) entries.push(...entriesOf(source, path, keep));
    else if (stat.isFile()) {
      entries.push({ path, source, size: stat.size, executable: (stat.mode & 0o111) !== 0 });
    } else throw new Error(`${source} is neither a file nor a directory`);
  }
  return entries;
}

/** Bytes of an archive in the form that every tar reads (POSIX pax), the same for the same entries everywhere. */
export async function* tar(
  entries: readonly TarEntry[],
  onContent: (entry: TarEntry, chunk: Buffer) => void = () => {},
): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    yield* headers(entry);
    if (entry.source === undefined) continue;
    let read = 0;
    for await (const chunk of createReadStream(entry.source, { highWaterMark: 2 ** 20 })) {
      read += (chunk as Buffer).length;
      onContent(entry, chunk as Buffer);
      yield chunk as Buffer;
    }
    if (read !== entry.size) throw new Error(`${entry.source} changed while it was read`);
    const rest = read % BLOCK;
    if (rest > 0) yield Buffer.alloc(BLOCK - rest);
  }
  yield END;
}

/** A name that the old form cannot hold goes into a record in front. */
function headers(entry: TarEntry): Buffer[] {
  const type = entry.path.endsWith("/") ? "5" : "0";
  const mode = entry.executable ? 0o755 : 0o644;
  const fits = split(entry.path);
  if (fits) return [header(fits, { size: entry.size, mode, type })];
  const record = paxRecord("path", entry.path);
  const filled = Buffer.alloc(Math.ceil(record.length / BLOCK) * BLOCK);
  record.copy(filled);
  const short = { name: "long-name", prefix: "" };
  return [
    header(short, { size: record.length, mode: 0o644, type: "x" }),
    filled,
    header(short, { size: entry.size, mode, type }),
  ];
}

/** Name and prefix of a path; null when it does not fit into them. */
function split(path: string): { name: string; prefix: string } | null {
  if (!/^[\x20-\x7e]*$/.test(path)) return null;
  if (path.length <= 100) return { name: path, prefix: "" };
  for (let at = path.indexOf("/"); at >= 0 && at <= 155; at = path.indexOf("/", at + 1)) {
    const name = path.slice(at + 1);
    if (name !== "" && name.length <= 100) return { name, prefix: path.slice(0, at) };
  }
  return null;
}

/** Fields by POSIX (ustar): offset and length of each are fixed. */
function header(
  { name, prefix }: { name: string; prefix: string },
  { size, mode, type }: { size: number; mode: number; type: string },
): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "ascii");
  block.write(name, 0, "ascii");
  octal(mode, 100, 8);
  octal(0, 108, 8); // owner
  octal(0, 116, 8); // group
  octal(size, 124, 12);
  octal(0, 136, 12); // time
  block.write("        ", 148, "ascii");
  block.write(type, 156, "ascii");
  block.write("ustar\u000000", 257, "ascii");
  block.write("root", 265, "ascii");
  block.write("root", 297, "ascii");
  block.write(prefix, 345, "ascii");
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "ascii");
  return block;
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`);
}
