import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeProject, type Project, PULUMI } from "./fixtures/project.ts";

/** Shards that need next to nothing, so that only the engine's own time counts. */
const SMALL = ["openclaw-fleet:sizes:", "  shardMemoryMiB: 10", "  runtimeMemoryMiB: 10"];
const agents = (prompt: string) => [
  ...SMALL,
  "openclaw-fleet:agents:",
  "  - name: helper",
  `    systemPrompt: ${prompt}`,
  "    env:",
  "      HELPER_KEY: plain-secret-value",
  "openclaw-fleet:shards: 2",
];

describe.skipIf(!PULUMI)("a local stack under the real engine", () => {
  let project: Project;
  const keeper = (id: string) =>
    JSON.parse(readFileSync(join(project.dataDir, "nodes", id, "keeper.json"), "utf8")) as {
      pid: number;
    };
  const must = async (...args: string[]) => {
    const run = await project.pulumi(args);
    expect(run.code, run.text).toBe(0);
    return run.text;
  };

  beforeAll(async () => {
    project = await makeProject();
    project.settings(SMALL);
    await must("stack", "init", "test");
  });
  afterAll(async () => {
    await project.pulumi(["destroy", "--yes"]);
    project.remove();
  });

  test("wrong settings are all named with their places, and nothing is started", async () => {
    project.settings([...SMALL, "openclaw-fleet:agnets: []", "openclaw-fleet:nodes: 0"]);
    const run = await project.pulumi(["up", "--yes"]);
    expect(run.code).not.toBe(0);
    expect(run.text).toMatch(/Pulumi\.test\.yaml:6:3 {2}openclaw-fleet:agnets is not a setting/);
    expect(run.text).toContain("Did you mean openclaw-fleet:agents?");
    expect(run.text).toMatch(/Pulumi\.test\.yaml:7:3 {2}openclaw-fleet:nodes is 0/);
    expect(run.text).not.toContain("at loadSettings");
    expect(existsSync(project.dataDir)).toBe(false);
  });

  test("shards that the memory cannot hold are refused before anything starts", async () => {
    project.settings(["openclaw-fleet:sizes:", "  shardMemoryMiB: 900000000"]);
    const run = await project.pulumi(["up", "--yes", "--skip-preview"]);
    expect(run.code).not.toBe(0);
    expect(run.text).toMatch(
      /the planned shards need \d+ MiB of memory, and \d+ MiB are available/,
    );
    expect(existsSync(project.dataDir)).toBe(false);
  });

  test("up starts every node and asks for a first answer; preview said so before", async () => {
    project.settings(agents("friendly"));
    expect(await must("preview", "--diff")).toContain("3 to create");
    expect(project.events()).toEqual([]);
    await must("up", "--yes");
    const events = project.events().map((event) => event.split(" ")[0]);
    expect(events.sort()).toEqual(["chat", "start", "start"]);
    const output = await project.pulumi(["stack", "output", "--json", "--show-secrets"]);
    const outputs = JSON.parse(output.stdout);
    expect(outputs).toMatchObject({
      endpoint: `http://127.0.0.1:${project.port}`,
      target: "local",
      preset: "small",
      nodes: ["a", "b"],
      shards: ["s1", "s2"],
    });
    expect(Object.keys(outputs).sort()).toEqual(
      ["adminToken", "endpoint", "nodes", "preset", "shards", "target", "token"].sort(),
    );
    const answer = await fetch(`${outputs.endpoint}/api/v1/fleet`, {
      headers: { authorization: `Bearer ${outputs.adminToken}` },
    });
    expect(answer.status).toBe(200);
  });

  test("up again changes nothing", async () => {
    expect(await must("up", "--yes")).toContain("4 unchanged");
    expect(project.events()).toEqual([]);
  });

  test("the state and the previews hold no plain secret", async () => {
    const { stdout } = await project.pulumi(["stack", "export"]);
    const shown = await must("preview", "--diff", "--show-sames");
    const { tokens } = JSON.parse(readFileSync(join(project.dataDir, "fleet.json"), "utf8"));
    for (const secret of ["plain-secret-value", tokens.client[0], tokens.admin, tokens.peer]) {
      expect(secret).toEqual(expect.any(String));
      expect(stdout).not.toContain(secret);
      expect(shown).not.toContain(secret);
    }
  });

  test("a prompt changes the fleet only, and the preview shows it", async () => {
    project.settings(agents("grumpy"));
    const shown = await must("preview", "--diff");
    expect(shown).toMatch(/systemPrompt: "friendly" => "grumpy"/);
    expect(shown).toContain("1 to update");
    expect(await must("up", "--yes")).toMatch(/1 updated(.|\n)*3 unchanged/);
    expect(readFileSync(join(project.dataDir, "fleet.json"), "utf8")).toContain("grumpy");
    // No node was touched; one is asked whether people get answers.
    expect(project.events().map((event) => event.split(" ")[0])).toEqual(["chat"]);
  });

  test("settings under which nobody answers fail up, and the way back is no change too few", async () => {
    const file = () => readFileSync(join(project.dataDir, "fleet.json"), "utf8");
    const before = file();
    project.settings([...agents("grumpy"), "openclaw-fleet:openclaw: { standInMute: true }"]);
    const failed = await project.pulumi(["up", "--yes", "--skip-preview"]);
    expect(failed.code).not.toBe(0);
    expect(failed.text).toMatch(/a chat got no answer: .*the model is mute/);
    project.settings(agents("grumpy"));
    await must("up", "--yes", "--skip-preview");
    expect(file()).toBe(before);
    expect(await must("up", "--yes", "--skip-preview")).toContain("4 unchanged");
    project.events();
  });

  test("a node added is one resource more, a node removed is drained first", async () => {
    project.settings([...agents("grumpy"), "openclaw-fleet:nodes: 3"]);
    expect(await must("up", "--yes")).toMatch(
      /1 created(.|\n)*4 unchanged|4 unchanged(.|\n)*1 created/,
    );
    expect(project.events()).toContain("start c 1.0.0");
    project.settings(agents("grumpy"));
    expect(await must("up", "--yes")).toMatch(
      /1 deleted(.|\n)*4 unchanged|4 unchanged(.|\n)*1 deleted/,
    );
    const events = project.events();
    const drained = events.findIndex((event) => event.startsWith("drain-c"));
    expect(drained).toBeGreaterThanOrEqual(0);
    expect(events.indexOf("stop c 1.0.0")).toBeGreaterThan(drained);
    expect(readdirSync(join(project.dataDir, "nodes"))).toEqual(["a", "b"]);
  });

  test("another release rolls one node after the other, drained and resumed", async () => {
    const env = { OPENCLAW_FLEET_RELEASE_JSON: project.release("2.0.0") };
    const run = await project.pulumi(["up", "--yes"], env);
    expect(run.code, run.text).toBe(0);
    expect(run.text).toMatch(/2 updated/);
    const order = project.events().map((event) => event.split(" ").slice(0, 2).join(" "));
    const steps = order.filter((event) => /^(stop|start) |^(drain|resume)-/.test(event));
    const of = (id: string) => [`stop ${id}`, `start ${id}`];
    const moves = steps.filter((event) => /^(stop|start) /.test(event));
    expect([
      [...of("a"), ...of("b")],
      [...of("b"), ...of("a")],
    ]).toContainEqual(moves);
    for (const id of ["a", "b"]) {
      const at = (event: string) => steps.findIndex((step) => step.startsWith(event));
      expect(at(`drain-${id}`)).toBeLessThan(at(`stop ${id}`));
      expect(at(`resume-${id}`)).toBeGreaterThan(at(`start ${id}`));
    }
    await must("up", "--yes");
    project.events();
  });

  test("refresh sees a node that died, and up starts it again", async () => {
    const { pid } = keeper("a");
    process.kill(pid, "SIGKILL");
    const seen = await must("refresh", "--yes", "--diff");
    expect(seen).toMatch(/state *: "running" => "dead"/);
    const shown = await must("preview", "--diff");
    expect(shown).toContain("1 to update");
    await must("up", "--yes");
    expect(project.events()).toContain("start a 1.0.0");
    expect(keeper("a").pid).not.toBe(pid);
    expect(await must("up", "--yes")).toContain("4 unchanged");
  });

  test("a shard that cannot run fails up with its reason, and the next up goes on", async () => {
    const nodes = "openclaw-fleet:nodes: 3";
    project.settings([...agents("grumpy"), nodes, "openclaw-fleet:openclaw: {standInFails: s2}"]);
    const run = await project.pulumi(["up", "--yes"]);
    expect(run.code).not.toBe(0);
    expect(run.text).toContain("shard s2 cannot run: the configuration was refused: stand-in");
    project.settings([...agents("grumpy"), nodes]);
    await must("up", "--yes");
    expect(await must("up", "--yes")).toContain("5 unchanged");
  });

  test("an interrupted up can be run again", async () => {
    const nodes = "openclaw-fleet:nodes: 2";
    await project.pulumi(["destroy", "--yes"]);
    project.events();
    project.settings([...agents("calm"), nodes, "openclaw-fleet:openclaw: {standInStalls: s1}"]);
    const stop = new AbortController();
    const running = project.pulumi(["up", "--yes", "--skip-preview"], {}, stop.signal);
    await expect.poll(() => project.events().length, { timeout: 60_000 }).toBeGreaterThan(0);
    stop.abort();
    const run = await running;
    expect(run.code).not.toBe(0);
    project.settings([...agents("calm"), nodes]);
    await must("up", "--yes");
    expect(await must("up", "--yes")).toContain("4 unchanged");
  });

  test("environment prod refuses destroy before anything stops", async () => {
    project.settings([...agents("calm"), "openclaw-fleet:environment: prod"]);
    await must("up", "--yes");
    project.events();
    const run = await project.pulumi(["destroy", "--yes", "--skip-preview"]);
    expect(run.code).not.toBe(0);
    expect(run.text).toContain("protected by openclaw-fleet:environment prod");
    expect(project.events()).toEqual([]);
    project.settings(agents("calm"));
    await must("up", "--yes");
  });

  test("destroy leaves no process and no data", async () => {
    await must("destroy", "--yes");
    expect(existsSync(project.dataDir)).toBe(false);
    expect(processesNaming(project.dataDir)).toEqual([]);
  });
});

/** Processes whose command line names a path. */
function processesNaming(path: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return "";
      }
    })
    .filter((line) => line.includes(path));
}
