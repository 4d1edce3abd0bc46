import type { Release } from "../../gateway/config.ts";

/** What every part of the bench gets. */
export interface BenchContext {
  /** Little of everything: shows that it works, not what it measures. */
  quick: boolean;
  /** Kills of each kind. */
  trials: number;
  /** What nodes run; made ready at the first call. Not every part needs it. */
  release(): Promise<Release>;
  /** One line of progress, for people. */
  say(line: string): void;
  signal: AbortSignal;
}

/** A bound of docs/capacity.md and whether the number keeps it. */
export interface Bound {
  text: string;
  met: boolean;
}

/** One measured number beside what it is to be compared with, from the same run. */
export interface Row {
  what: string;
  measured: string;
  /** Empty where nothing in the same run can stand beside it. */
  reference: string;
  /** Null where there is none. */
  must: Bound | null;
  aim: Bound | null;
}

export interface PartResult {
  rows: Row[];
  /** What a reader must know of how it was measured. */
  notes: string[];
  /** The laws that were looked at, as a sentence that is true when none is broken. */
  laws: string;
  /** What broke one of them; timings are never among them. */
  broken: string[];
}

export interface Part {
  name: string;
  title: string;
  run(context: BenchContext): Promise<PartResult>;
}

export const seconds = (ms: number | null): string =>
  ms === null ? "–" : `${(ms / 1000).toFixed(1)} s`;
export const millis = (ms: number | null): string => (ms === null ? "–" : `${ms.toFixed(2)} ms`);
export const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
export const some = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

export function row(
  what: string,
  measured: string,
  reference = "",
  bounds: { must?: Bound; aim?: Bound } = {},
): Row {
  return { what, measured, reference, must: bounds.must ?? null, aim: bounds.aim ?? null };
}

/** What a row comes to, in words; empty where nothing is asked of it. */
export function verdictOf({ must, aim }: Row): string {
  if (must && !must.met) return "must missed";
  if (aim) return aim.met ? "aim met" : must ? "must met" : "aim missed";
  return must ? "must met" : "";
}

/** Waits that end with the bench: rejects with its reason. */
export function whenStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
