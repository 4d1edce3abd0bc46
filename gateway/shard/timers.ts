/** Timers as an argument, so that tests move time. */
export interface Timers {
  /** Calls `fn` once after `ms`; returns how to prevent it. */
  after(ms: number, fn: () => void): () => void;
}

export const systemTimers: Timers = {
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};
