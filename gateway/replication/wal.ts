/**
 * SQLite's write-ahead log and its index, as bytes. Format: sqlite.org/fileformat2.html, "WAL File
 * Format", and sqlite.org/walformat.html, "The WAL-Index File Format".
 */

/** Bytes of one copy of the header of a `-shm` file; there are two, one after the other. */
export const INDEX_HEADER_BYTES = 48;
const INDEX_VERSION = 3_007_000;
export const WAL_HEADER_BYTES = 32;
export const FRAME_HEADER_BYTES = 24;

/** What the `-shm` file says of the newest commit. */
export interface WalIndex {
  /** Counts commits; starts anew when SQLite had to recover the log. */
  commits: number;
  pageSize: number;
  /** Frames in the log up to the newest commit; 0: all is in the database. */
  frames: number;
  /** Pages of the database. */
  pages: number;
  /** Hex; another one, another log. */
  salts: string;
  /** Checksums are computed over words of this order. */
  bigEndian: boolean;
}

/** Null: being written at this moment, not initialised, or of a version that is not known here. */
export function parseWalIndex(twice: Buffer): WalIndex | null {
  const one = twice.subarray(0, INDEX_HEADER_BYTES);
  if (!one.equals(twice.subarray(INDEX_HEADER_BYTES, 2 * INDEX_HEADER_BYTES))) return null;
  // The index is in the order of the machine, and all that Node runs on here are little-endian.
  if (one.readUInt32LE(0) !== INDEX_VERSION || one[12] !== 1) return null;
  const size = one.readUInt16LE(14);
  return {
    commits: one.readUInt32LE(8),
    bigEndian: one[13] === 1,
    pageSize: size === 1 ? 65_536 : size,
    frames: one.readUInt32LE(16),
    pages: one.readUInt32LE(20),
    salts: one.toString("hex", 32, 40),
  };
}

/** How far a copy of a database has come. */
export interface WalCursor {
  commits: number;
  frames: number;
  salts: string;
}

/** Which frames bring a copy at `from` to `to`; null: that cannot be told from counters. */
export function framesBetween(
  from: WalCursor,
  to: WalIndex,
): { first: number; last: number } | null {
  if (to.commits < from.commits) return null;
  if (to.salts === from.salts) {
    return to.frames < from.frames ? null : { first: from.frames + 1, last: to.frames };
  }
  return { first: 1, last: to.frames };
}

export interface WalChanges {
  /** Page number → its newest content. */
  pages: Map<number, Buffer>;
  commits: number;
}

/** Reads `length` bytes at `at` of the log; shorter at its end. */
export type ReadAt = (at: number, length: number) => Buffer;

/** Frames read at once. */
const BATCH = 256;

/**
 * The pages that the frames `first` to `last` write. Null when they are not, whole and in order, the
 * frames of the log that `index` speaks of: it was begun anew meanwhile.
 */
export function readFrames(
  read: ReadAt,
  index: WalIndex,
  range: { first: number; last: number },
): WalChanges | null {
  const pages = new Map<number, Buffer>();
  if (range.last < range.first) return { pages, commits: 0 };
  const frameBytes = FRAME_HEADER_BYTES + index.pageSize;
  const offsetOf = (frame: number) => WAL_HEADER_BYTES + (frame - 1) * frameBytes;
  // The checksum goes on from the frame before, or from the header of the log.
  const before =
    range.first === 1 ? read(24, 8) : read(offsetOf(range.first - 1) + FRAME_HEADER_BYTES - 8, 8);
  if (before.length < 8) return null;
  let sum: Checksum = [before.readUInt32BE(0), before.readUInt32BE(4)];
  let commits = 0;
  for (let first = range.first; first <= range.last; first += BATCH) {
    const count = Math.min(BATCH, range.last - first + 1);
    const bytes = read(offsetOf(first), count * frameBytes);
    if (bytes.length < count * frameBytes) return null;
    for (let at = 0; at < bytes.length; at += frameBytes) {
      const header = bytes.subarray(at, at + FRAME_HEADER_BYTES);
      const page = bytes.subarray(at + FRAME_HEADER_BYTES, at + frameBytes);
      sum = checksum(page, checksum(header.subarray(0, 8), sum, index.bigEndian), index.bigEndian);
      const whole = header.readUInt32BE(16) === sum[0] && header.readUInt32BE(20) === sum[1];
      if (!whole || header.toString("hex", 8, 16) !== index.salts) return null;
      pages.set(header.readUInt32BE(0), page);
      if (header.readUInt32BE(4) > 0) commits++;
    }
  }
  return { pages, commits };
}

type Checksum = [number, number];

/** SQLite's checksum: two sums of 32 bits, over words in pairs. */
export function checksum(bytes: Buffer, [a, b]: Checksum, bigEndian: boolean): Checksum {
  let s0 = a | 0;
  let s1 = b | 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; at += 8) {
    s0 = (s0 + view.getInt32(at, !bigEndian) + s1) | 0;
    s1 = (s1 + view.getInt32(at + 4, !bigEndian) + s0) | 0;
  }
  return [s0 >>> 0, s1 >>> 0];
}
