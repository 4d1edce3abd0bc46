import type { Release } from "../../gateway/config.ts";

/** What every part of the bench gets. */
export interface BenchContext {
  /** Few trials: shows that it works, not what it measures. */
  quick: boolean;
  /** What nodes run; made ready at the first call. Not every part needs it. */
  release(): Promise<Release>;
  /** One line of progress, for people. */
  say(line: string): void;
  signal: AbortSignal;
}

/** One measured number beside what it is to be compared with, from the same run. */
export interface Row {
  what: string;
  measured: string;
  /** Empty where nothing in the same run can stand beside it. */
  reference: string;
  /** The must of DESIGN §7; empty where it has none. */
  must: string;
  /** Null where there is no must. */
  met: boolean | null;
}

export interface PartResult {
  rows: Row[];
  /** What a reader must know of how it was measured. */
  notes: string[];
  /** Laws that must hold in any run; timings are never among them. */
  broken: string[];
}

export interface Part {
  name: string;
  title: string;
  run(context: BenchContext): Promise<PartResult>;
}

export const seconds = (ms: number | null): string =>
  ms === null ? "–" : `${(ms / 1000).toFixed(1)} s`;
export const millis = (ms: number | null): string => (ms === null ? "–" : `${ms.toFixed(3)} ms`);
export const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

export function row(
  what: string,
  measured: string,
  reference = "",
  must: { text: string; met: boolean } | null = null,
): Row {
  return { what, measured, reference, must: must?.text ?? "", met: must?.met ?? null };
}
