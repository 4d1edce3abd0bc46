/** One thing that was wrong, with what proves it, in one line. */
export interface Violation {
  /** When it became visible, ms in the history. */
  t: number;
  text: string;
}

export interface Verdict {
  check: string;
  /** What holds when it passed, for people. */
  law: string;
  /** `unevaluated`: the history has nothing that could have shown a violation. It counts as failed. */
  status: "passed" | "failed" | "unevaluated";
  /** How many things were looked at, and what they are. */
  evaluated: number;
  of: string;
  violations: Violation[];
  /** For `unevaluated`: what was missing. Else numbers worth knowing, or empty. */
  note: string;
}

export interface Outcome {
  ok: boolean;
  verdicts: Verdict[];
}

/** Which parts of the load ran: a check whose subject was never there is unevaluated. */
export interface Expectation {
  telegram: boolean;
  cron: boolean;
  websocket: boolean;
  /** Faults that must have been applied at least once each. */
  faults: readonly string[];
}

/** Finds how a check's verdict follows from what it saw. */
export function judge(
  check: string,
  law: string,
  seen: { evaluated: number; of: string; violations: Violation[]; missing?: string; note?: string },
): Verdict {
  const { evaluated, of, violations } = seen;
  const unevaluated = violations.length === 0 && (evaluated === 0 || seen.missing !== undefined);
  return {
    check,
    law,
    status: violations.length > 0 ? "failed" : unevaluated ? "unevaluated" : "passed",
    evaluated,
    of,
    violations: [...violations].sort((a, b) => a.t - b.t),
    note: unevaluated ? (seen.missing ?? `no ${of} in the history`) : (seen.note ?? ""),
  };
}
