import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { PULUMI } from "../engine/fixtures/project.ts";
import { Pipeline } from "../engine/pipeline/cli.ts";
import { FULL } from "../support/share.ts";
import { TestHosts } from "./support/lab.ts";
import { whyNoHosts } from "./support/programs.ts";
import { fleetTraces } from "./support/traces.ts";

const UP_MS = 1_800_000;
/** Addresses that the README has in the place of a reader's own. */
const EXAMPLE = /203\.0\.113\.1(\d)/g;

/** Commands of the README's part on hosts, as they stand there. */
function commands(): string[] {
  const text = readFileSync(join(PROJECT_ROOT, "README.md"), "utf8");
  const part = text.slice(text.indexOf("## On your own hosts"));
  const block = /```\n(\.\/fleet init [\s\S]*?)```/.exec(part)?.[1] ?? "";
  return block.trim().split("\n");
}

/** Three bare hosts and the README, with the reader's key in an agent. Nothing else is known. */
describe.skipIf(!FULL || !PULUMI || !process.env.OPENCLAW_FLEET_OPENCLAW || whyNoHosts() !== null)(
  "the README's words make a fleet of three hosts",
  { timeout: UP_MS },
  () => {
    let lab: TestHosts;
    let bare: string;
    const pipeline = new Pipeline();
    const stack = pipeline.name("vps");
    const agent: NodeJS.ProcessEnv = {};

    beforeAll(async () => {
      lab = await TestHosts.create({ hosts: ["a", "b", "c"] });
      bare = await fleetTraces(lab.hosts);
      const said = execFileSync("ssh-agent", ["-s"], { encoding: "utf8" });
      for (const [, name, value] of said.matchAll(/(SSH_\w+)=([^;]+);/g)) agent[name ?? ""] = value;
      pipeline.env = agent;
      execFileSync("ssh-add", ["-q", lab.identityFile], { env: { ...process.env, ...agent } });
    }, UP_MS);
    afterAll(async () => {
      if (agent.SSH_AGENT_PID) process.kill(Number(agent.SSH_AGENT_PID));
      pipeline.remove();
      await lab?.close();
    }, UP_MS);

    /** A line of the README with this stack's name and hosts in it. */
    const typed = (line: string, ...more: string[]) => {
      const own = line
        .replaceAll(EXAMPLE, (_, n) => lab.hosts[Number(n) - 1]?.address ?? "")
        .replace("--stack vps", `--stack ${stack}`);
      const [program, ...args] = own.split(" ");
      expect(program).toBe("./fleet");
      return pipeline.ok([...args, ...more]);
    };

    test("from nothing to an answer", async () => {
      const lines = commands();
      expect(lines.map((line) => line.split(" ")[1])).toEqual(["init", "up"]);
      await typed(lines[0] as string);
      const { stdout, stderr } = await typed(lines[1] as string, "--yes");
      expect(stdout + stderr).toContain(`Ready: https://${lab.host("a").address}`);
      const { stdout: reply } = await typed("./fleet chat --stack vps hello");
      expect(reply.trim()).toBe("You said: hello");
      const { stdout: status } = await typed("./fleet status --stack vps");
      expect(status).toMatch(/· ok: (\d+) of \1 shards serving, one node may be lost/);
    });

    test("destroy leaves no trace", async () => {
      await typed("./fleet destroy --stack vps", "--yes");
      expect(await fleetTraces(lab.hosts)).toBe(bare);
    });
  },
);
