import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { awsStack } from "../engine/aws/harness.ts";
import { furnish, settingsOf } from "../engine/aws/stacks.ts";
import { type BenchContext, mib, type Part, type PartResult, row, seconds } from "./part.ts";
import { peakOf } from "./peak.ts";

/** The musts of docs/capacity.md. */
const MUST_MS = 20_000;
const AIM_MS = 8_000;
const LOOK_MS = 20;

interface Measured {
  /** From the start of `pulumi preview` until its first resource. */
  firstMs: number | null;
  wholeMs: number;
  /** Of the program's process. */
  programBytes: number;
  resources: number;
  fault: string | null;
}

/** One preview of the largest preset on a cluster, on a stack without state. */
async function measure(signal: AbortSignal): Promise<Measured> {
  const stack = await awsStack({ stack: "bench", settings: settingsOf("eks", "enterprise") });
  const events = join(stack.home, "events");
  try {
    stack.account(furnish);
    const begun = performance.now();
    const preview = stack.pulumi(["preview", "--stack", "bench", "--event-log", events], {
      env: { PULUMI_DEBUG_COMMANDS: "true" },
    });
    let over = false;
    const ended = preview.finally(() => {
      over = true;
    });
    let firstMs: number | null = null;
    let programBytes = 0;
    while (!over) {
      signal.throwIfAborted();
      await Promise.race([sleep(LOOK_MS), ended]);
      programBytes = Math.max(programBytes, peakOf(/cmd\/run\b.*clone/));
      if (firstMs === null && planned(events) > 0) firstMs = performance.now() - begun;
    }
    const { code, text } = await ended;
    const wholeMs = performance.now() - begun;
    const fault = code === 0 ? null : `preview ended with ${code}: ${text.slice(-300)}`;
    return { firstMs, wholeMs, programBytes, resources: planned(events), fault };
  } finally {
    stack.remove();
  }
}

/** Resources of AWS and Kubernetes that the engine has planned so far. */
function planned(events: string): number {
  if (!existsSync(events)) return 0;
  const lines = readFileSync(events, "utf8").split("\n");
  return lines.filter((line) => /"resourcePreEvent".*"type":"(aws|kubernetes):/.test(line)).length;
}

async function run(bench: BenchContext): Promise<PartResult> {
  const runs = bench.quick ? 1 : 5;
  const found: Measured[] = [];
  for (let i = 0; i < runs; i++) {
    bench.say(`preview ${i + 1} of ${runs}: enterprise on eks`);
    found.push(await measure(bench.signal));
  }
  const median = (of: (one: Measured) => number): number =>
    found.map(of).sort((a, b) => a - b)[Math.floor(runs / 2)] as number;
  const first = median(({ firstMs }) => firstMs ?? Number.POSITIVE_INFINITY);
  const whole = median(({ wholeMs }) => wholeMs);
  const bounds = (ms: number) => ({
    must: { text: `≤ ${MUST_MS / 1000} s`, met: ms <= MUST_MS },
    aim: { text: `≤ ${AIM_MS / 1000} s`, met: ms <= AIM_MS },
  });
  return {
    rows: [
      row("from the start to the first resource", seconds(first), "", bounds(first)),
      row(
        `the whole preview, ${found[0]?.resources ?? 0} resources`,
        `median ${seconds(whole)} of ${runs}`,
      ),
      row("memory of the program at its highest", mib(median((one) => one.programBytes))),
    ],
    notes: [
      "Preset enterprise on eks, a stack without state, the real engine, with stand-ins for the providers: what AWS takes to answer lookups is not in it.",
    ],
    laws: "Every preview ended well.",
    broken: found.flatMap(({ fault }) => (fault ? [fault] : [])),
  };
}

export const preview: Part = { name: "preview", title: "Preview of the largest preset", run };
