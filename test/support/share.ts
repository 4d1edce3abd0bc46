/** All of it: set by `./fleet test engine --full`. */
export const FULL = process.env.OPENCLAW_FLEET_TEST_FULL === "1";

/** Day that chooses a share, so that a week of runs sees everything. Whole days since 1970, UTC. */
export const DAY = Number(
  process.env.OPENCLAW_FLEET_TEST_DAY ?? Math.floor(Date.now() / 86_400_000),
);

/**
 * The day's share of a list: `size` items from a place that moves on each day, around the end; all of
 * it in a full run. The same day is the same share.
 */
export function share<T>(all: readonly T[], size: number, day = DAY, full = FULL): T[] {
  if (full || all.length <= size) return [...all];
  const from = (day * size) % all.length;
  return Array.from({ length: size }, (_, i) => all[(from + i) % all.length] as T);
}
