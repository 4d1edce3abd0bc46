import type { HistoryHeader } from "../drill/history.ts";

/** A history's header where the test does not look at it. */
export const HEADER_OF_TESTS: HistoryHeader = {
  seed: 1,
  minutes: 1,
  startedAt: "2026-01-01T00:00:00.000Z",
  nodes: ["n1", "n2"],
  shards: ["s1"],
  faults: [],
  release: "1.0.0",
  command: "./fleet drill",
};
