/** An IPv4 range as two numbers. */
export interface Range {
  readonly first: number;
  readonly last: number;
  readonly bits: number;
  /** False when the address has bits beyond the prefix, as in 10.0.0.1/24. */
  readonly exact: boolean;
}

/** Null when it is no IPv4 CIDR. */
export function parseCidr(text: string): Range | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  if (!match) return null;
  const [a, b, c, d, bits] = match.slice(1).map(Number) as [number, number, number, number, number];
  if ([a, b, c, d].some((byte) => byte > 255) || bits > 32) return null;
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  const size = 2 ** (32 - bits);
  const first = Math.floor(address / size) * size;
  return { first, last: first + size - 1, bits, exact: first === address };
}

export function overlaps(one: Range, other: Range): boolean {
  return one.first <= other.last && other.first <= one.last;
}

export function within(inner: Range, outer: Range): boolean {
  return outer.first <= inner.first && inner.last <= outer.last;
}

/** Ranges of RFC 1918, which never reach the API from the internet. */
export const PRIVATE_RANGES: readonly Range[] = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
].map((text) => parseCidr(text) as Range);
