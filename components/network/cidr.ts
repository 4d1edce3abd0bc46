/** A block of IPv4 addresses. */
export interface Cidr {
  /** First address as a number of 32 bits. */
  readonly first: number;
  /** Length of the mask, 0 to 32. */
  readonly prefix: number;
}

/** Reads `10.0.0.0/16`; undefined when it is not written like that. Bits beyond the mask are kept in `first`. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  if (!match) return undefined;
  const parts = match.slice(1).map(Number) as [number, number, number, number, number];
  const [a, b, c, d, prefix] = parts;
  if ([a, b, c, d].some((byte) => byte > 255) || prefix > 32) return undefined;
  return { first: ((a * 256 + b) * 256 + c) * 256 + d, prefix };
}

/** Addresses in a block whose mask has this length. */
export function sizeOf(prefix: number): number {
  return 2 ** (32 - prefix);
}

export function formatCidr({ first, prefix }: Cidr): string {
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256);
  return `${bytes.join(".")}/${prefix}`;
}

/** The block that this address and mask lie in: bits beyond the mask are cleared. */
export function aligned({ first, prefix }: Cidr): Cidr {
  return { first: first - (first % sizeOf(prefix)), prefix };
}

export function overlap(a: Cidr, b: Cidr): boolean {
  return a.first < b.first + sizeOf(b.prefix) && b.first < a.first + sizeOf(a.prefix);
}

export function contains(outer: Cidr, inner: Cidr): boolean {
  return (
    inner.first >= outer.first &&
    inner.first + sizeOf(inner.prefix) <= outer.first + sizeOf(outer.prefix)
  );
}

/** Part `index` of a block cut into equal blocks whose mask has this length. */
export function part(whole: Cidr, prefix: number, index: number): Cidr {
  return { first: whole.first + index * sizeOf(prefix), prefix };
}
