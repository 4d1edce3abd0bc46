import { expect, test } from "vitest";
import { hostReleaseFacts } from "../../toolchain/host-release.ts";
import { runDrill } from "../drill/drill.ts";
import { HOST_FAULT_NAMES } from "../drill/fault-names.ts";
import { hostsDriver } from "../drill/hosts/driver.ts";
import { drillText } from "../drill/text.ts";
import { PULUMI } from "../engine/fixtures/project.ts";
import { FULL } from "../support/share.ts";
import { whyNoHosts } from "./support/programs.ts";

const WHOLE_TEST_MS = 3 * 3_600_000;
const PLAIN = {
  table: (head: string[], rows: string[][]) =>
    [head, ...rows].map((cells) => cells.join("  ")).join("\n"),
  paint: (_style: string, text: string) => text,
};

/** The same as `./fleet drill --hosts --once`. Bringing hosts up takes minutes, so nothing of it is in a short run. */
test.skipIf(!FULL || !PULUMI || !process.env.OPENCLAW_FLEET_OPENCLAW || whyNoHosts() !== null)(
  "a fleet on three hosts keeps its laws under every fault",
  { timeout: WHOLE_TEST_MS },
  async ({ signal }) => {
    const { id } = await hostReleaseFacts(process.arch === "arm64" ? "arm64" : "x64");
    const { report } = await runDrill({
      seed: 7,
      minutes: null,
      faults: HOST_FAULT_NAMES,
      named: true,
      driver: hostsDriver(),
      release: id,
      say: (line) => void process.stderr.write(`${line}\n`),
      signal,
    });
    expect(report.ok, drillText(report, PLAIN)).toBe(true);
  },
);
