import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { paint, say, table } from "../../cli/lib/terminal.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { ensureRelease } from "../../toolchain/release.ts";
import { replaceSection } from "../drill/record.ts";
import { agents } from "./agents.ts";
import { capacitySection, marks } from "./capacity.ts";
import type { Part, PartResult } from "./part.ts";
import { recovery } from "./recovery.ts";
import { rolling } from "./rolling.ts";
import { router } from "./router.ts";
import { shards } from "./shards.ts";

const PARTS: readonly Part[] = [router, recovery, rolling, shards, agents];
const USAGE = `Usage: ./fleet test bench [PART…] [--quick] [--write]

Parts: ${PARTS.map((part) => `${part.name} (${part.title.toLowerCase()})`).join(", ")}
  --quick   few trials: shows that it works, not what it measures
  --write   puts the results into docs/capacity.md`;

const CAPACITY = join(PROJECT_ROOT, "docs", "capacity.md");

function write(part: Part, result: PartResult): void {
  const page = existsSync(CAPACITY) ? readFileSync(CAPACITY, "utf8") : "# Capacity\n";
  const { begin, end } = marks(part.name);
  writeFileSync(
    CAPACITY,
    replaceSection(page, begin, end, capacitySection(part, result, new Date())),
  );
}

function text(part: Part, result: PartResult): string {
  const rows = result.rows.map((one) => [
    one.what,
    one.measured,
    one.reference,
    one.met === null ? one.must : paint(one.met ? "green" : "red", one.must),
  ]);
  const broken = result.broken.map((line) => `${paint("red", "✗")} ${line}`);
  const head = ["", "MEASURED", "BESIDE", "MUST"];
  return [paint("bold", part.title), table(head, rows), ...broken, ""].join("\n");
}

async function bench(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const unknown = positionals.filter((name) => !PARTS.some((part) => part.name === name));
  if (values.help || unknown.length > 0) {
    if (unknown.length > 0) say(`${unknown.join(", ")} is no part of the bench`);
    say(USAGE);
    return unknown.length > 0 ? 2 : 0;
  }
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => stop.abort(new Error("the bench was stopped")));
  }
  let ready: ReturnType<typeof ensureRelease> | null = null;
  const release = () => {
    ready ??= ensureRelease();
    return ready;
  };
  const begun = performance.now();
  const chosen = PARTS.filter(
    (part) => positionals.length === 0 || positionals.includes(part.name),
  );
  let failed = 0;
  for (const part of chosen) {
    const line = (what: string) => {
      const at = ((performance.now() - begun) / 1000).toFixed(0).padStart(5);
      say(`${at} s  ${part.name}: ${what}`);
    };
    try {
      const result = await part.run({
        quick: values.quick,
        release,
        say: line,
        signal: stop.signal,
      });
      process.stdout.write(`${text(part, result)}\n`);
      if (values.write) write(part, result);
      if (result.broken.length > 0) failed++;
    } catch (error) {
      failed++;
      line(`failed: ${(error as Error).message}`);
      if (stop.signal.aborted) return 1;
    }
  }
  // Timings are reported; only a broken law or a part that could not run is a failure.
  return failed > 0 ? 1 : 0;
}

process.exitCode = await bench(process.argv.slice(2));
