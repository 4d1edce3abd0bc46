import { judge, type Verdict, type Violation } from "../verdict.ts";
import { at, type HistoryIndex } from "./index.ts";

/** The faults were really applied, and the fleet was whole again after each. */
export function faultsHappened(index: HistoryIndex, wanted: readonly string[]): Verdict {
  const violations: Violation[] = [];
  for (const fault of index.faults) {
    if (fault.failure !== null) {
      violations.push({
        t: fault.from,
        text: `${fault.name} of ${fault.target} at ${at(fault.from)}: ${fault.failure}`,
      });
    } else if (fault.recovered === null) {
      violations.push({
        t: fault.from,
        text: `${fault.name} of ${fault.target} at ${at(fault.from)}: the fleet was never whole again`,
      });
    }
  }
  const missing = wanted.filter((name) => !index.faults.some((fault) => fault.name === name));
  return judge("faults", "the fleet is whole again after each fault", {
    evaluated: index.faults.length,
    of: "faults",
    violations,
    missing: missing.length > 0 ? `never applied: ${missing.join(", ")}` : undefined,
  });
}
