/** Pieces of work on their way to a target at a time. */
const PARALLEL = 8;

/**
 * Does a piece of work for each item, a few at a time, each item taken once. After the first failure no more are begun;
 * it is thrown when those under way have ended.
 */
export async function inParallel<T>(
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  // One iterator feeds all.
  const left = items[Symbol.iterator]();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (;;) {
      const next = failed ? undefined : left.next();
      if (!next || next.done) return;
      try {
        await work(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: PARALLEL }, worker));
  const bad = results.find((result) => result.status === "rejected");
  if (bad) throw bad.reason;
}
