import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quantile } from "../drill/summary.ts";
import { type Alone, makeAlone, runAlone } from "../support/openclaw-alone.ts";
import { type BenchContext, seconds, some } from "./part.ts";

/** A turn on a machine that does other things too. */
const ANSWER_MS = 180_000;

/** Times of several boots, ms. */
export interface Boots {
  count: number;
  median: number;
  max: number;
  /** Median from the start to the end of the first turn, which loads what a boot leaves out. */
  firstAnswer: number;
}

/** As a reference, for people. */
export const alone = ({ count, median, max, firstAnswer }: Boots): string =>
  `OpenClaw alone boots in ${seconds(median)}, max ${seconds(max)} of ${count}, its first answer after ${seconds(firstAnswer)}`;

/**
 * OpenClaw's own cold boots, with the configuration that a shard of the fleet gets and nothing of
 * the fleet around it: what every recovery stands beside. Each boot is on the same, used state.
 */
export async function coldBoots(bench: BenchContext, times: number): Promise<Boots> {
  const release = await bench.release();
  bench.say(`OpenClaw alone, ${some(times, "cold boot")} after a first one that is not counted`);
  const stateDir = mkdtempSync(join(tmpdir(), "openclaw-fleet-alone-"));
  const makings = await makeAlone(release, stateDir);
  const { signal } = bench;
  try {
    const boots: number[] = [];
    const answers: number[] = [];
    // The first one creates the state, which no recovery does: it is not counted.
    for (let i = 0; i <= times; i++) {
      const begun = performance.now();
      const work = async (alone: Alone) => {
        const started = performance.now() - begun;
        await firstTurn(alone, signal);
        return { started, answered: performance.now() - begun };
      };
      const { started, answered } = await runAlone(makings, work, { signal });
      if (i === 0) continue;
      boots.push(started);
      answers.push(answered);
    }
    return {
      count: boots.length,
      median: quantile(boots, 0.5) ?? 0,
      max: quantile(boots, 1) ?? 0,
      firstAnswer: quantile(answers, 0.5) ?? 0,
    };
  } finally {
    await makings.close();
    rmSync(stateDir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function firstTurn({ port, token }: Alone, signal: AbortSignal): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({
      model: "openclaw/main",
      user: "bench",
      messages: [{ role: "user", content: "Please say this again" }],
    }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`OpenClaw alone answered ${response.status}: ${text}`);
}
