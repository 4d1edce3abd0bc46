/** A part of a logical name made of a DNS name or an address range. */
export function slug(text: string): string {
  return text.replaceAll("*", "any").replace(/[^a-z0-9]+/gi, "-");
}
