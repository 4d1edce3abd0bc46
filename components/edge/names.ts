/** A part of a logical name made of a DNS name or an address range. */
export function slug(text: string): string {
  return text.replaceAll("*", "any").replace(/[^a-z0-9]+/gi, "-");
}

/**
 * Lets a record stand beside others of its name and type. All are of one kind, so that another front's
 * are made while the old ones are still there: Route 53 refuses a mixture.
 */
export function oneOfSeveral(setIdentifier: string) {
  return { setIdentifier, weightedRoutingPolicies: [{ weight: 1 }] };
}
