/** On a turn and on a WebSocket between two nodes something moves at least this often, ms. */
export const ALIVE_MS = 15_000;
/** A path on which so many of those are missing is dead, although both its ends may live. */
const MISSED = 3;

/** Silence that ends what waits for a peer which moves something every `aliveMs`, ms. */
export const silentAfter = (aliveMs: number): number => MISSED * aliveMs;
