/** How often a program looks whether who started it still runs, ms. */
const LOOK_MS = 500;

/**
 * Calls `ended` once when the process that started this one is gone, however it ended: an engine that is
 * killed tells its providers nothing, and they would go on with what it asked for. Keeps nothing alive.
 */
export function whenParentEnds(ended: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    ended();
  }, LOOK_MS);
  timer.unref();
}
