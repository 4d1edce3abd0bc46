/** What one step did. */
export interface Step {
  outcome: "nothing-new" | "replicated" | "failed" | "fenced";
  /** Put for this step: chunks, and bytes with the manifest. */
  chunks: number;
  bytes: number;
  /** Read from databases, and of leaves that differed. */
  readBytes: number;
  changedBytes: number;
  wholeCopies: number;
  /** Time spent on reading databases whole, ms. */
  wholeMs: number;
  /** Why it failed. */
  reason: string | null;
}

/** A step of this outcome that did nothing. */
export function step(outcome: Step["outcome"]): Step {
  const none = { chunks: 0, bytes: 0, readBytes: 0, changedBytes: 0, wholeCopies: 0, wholeMs: 0 };
  return { outcome, ...none, reason: null };
}
