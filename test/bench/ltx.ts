import type { LogPlace } from "./replication-state.ts";

/** Bytes of the header of one of Litestream's LTX files. Format: its module superfly/ltx, `ltx.go`. */
export const LTX_HEADER_BYTES = 100;
const MAGIC = "LTX1";
const WAL_OFFSET_AT = 48;
const WAL_SIZE_AT = 56;
const SALTS_AT = 64;

/** How far a file brings its database: the log that it was made of, up to where. Throws when it is none. */
export function ltxPlace(header: Buffer): LogPlace {
  if (header.length < LTX_HEADER_BYTES || header.toString("latin1", 0, 4) !== MAGIC) {
    throw new Error("this is no LTX file");
  }
  const end = header.readBigInt64BE(WAL_OFFSET_AT) + header.readBigInt64BE(WAL_SIZE_AT);
  return { salts: header.toString("hex", SALTS_AT, SALTS_AT + 8), end: Number(end) };
}

/** Whether what reaches up to `have` holds a commit that ends at `want`. A log that came later follows the whole of one before. */
export function reaches(have: LogPlace, want: LogPlace): boolean {
  if (have.salts === want.salts) return have.end >= want.end;
  // SQLite adds one to the first salt whenever it begins a log anew.
  const newer = (first(have) - first(want)) >>> 0;
  return newer > 0 && newer < 2 ** 31;
}

const first = ({ salts }: LogPlace): number => Number.parseInt(salts.slice(0, 8), 16);
