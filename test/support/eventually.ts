/** Longest a condition is waited for, milliseconds: generous, since it costs only failing tests. */
const GIVE_UP_MS = 20_000;

/** Tries `check` until it no longer throws; throws its last error when time is over. */
export async function eventually<T>(
  check: () => T | Promise<T>,
  giveUpMs = GIVE_UP_MS,
): Promise<T> {
  const until = performance.now() + giveUpMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > until) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
