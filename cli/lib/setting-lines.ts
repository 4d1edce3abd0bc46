/** A setting with what it means. */
export const setting = (name: string, value: string | number, why: string): string =>
  `  openclaw-fleet:${name}: ${value} # ${why}`;

/** One that is not set, to be uncommented. */
export const unset = (name: string, value: string, why: string): string =>
  `  # openclaw-fleet:${name}: ${value} # ${why}`;
