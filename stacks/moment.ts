/**
 * A moment in UTC as people write it, and as Pulumi hands it over: unquoted in YAML it is a time to
 * Pulumi, which writes it in a form of its own.
 */
export const MOMENT = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000 UTC)$/;

/** The moment in ISO 8601. @throws RangeError for a day that is none. */
export const isoMoment = (text: string): string =>
  new Date(text.replace(" +0000 UTC", "Z").replace(" ", "T")).toISOString();

/** Is it a moment that exists? */
export function isMoment(text: string): boolean {
  if (!MOMENT.test(text)) return false;
  return Number.isFinite(Date.parse(text.replace(" +0000 UTC", "Z").replace(" ", "T")));
}
