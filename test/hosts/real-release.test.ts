import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HOST_PATHS } from "../../components/host/types.ts";
import { nodeUnitText } from "../../components/node/unit.ts";
import { ArtifactHandler } from "../../plugin/host/artifact.ts";
import { openSsh } from "../../plugin/host/ssh.ts";
import { type HostArch, hostReleaseFacts } from "../../toolchain/host-release.ts";
import { createProgress } from "../../toolchain/progress.ts";
import { eventually } from "../support/eventually.ts";
import { TestHosts } from "./support/lab.ts";
import { whyNoHosts } from "./support/programs.ts";

const PORT = 19_001;
/** The first boot of OpenClaw on a loaded machine, ms. */
const BOOT_MS = 400_000;

const CONFIG = {
  gateway: {
    mode: "local",
    auth: { mode: "token", token: "a-token-of-the-test" },
    controlUi: { enabled: true },
  },
};

/** What the unit of nodes takes from its programs, as `systemd-run` is told it. */
function hardening(release: string, data: string): string[] {
  const paths = { ...HOST_PATHS, release, data };
  const text = nodeUnitText({ fleet: "test", node: "a", paths, dir: data });
  const lines = text.slice(text.indexOf("NoNewPrivileges="), text.indexOf("[Install]")).split("\n");
  return lines.filter((line) => /^\w+=/.test(line)).map((line) => `--property=${line}`);
}

describe.skipIf(whyNoHosts() !== null)("the release of this clone", () => {
  let lab: TestHosts;
  let release: string;
  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: ["a"] });
    const arch: HostArch = process.arch === "arm64" ? "arm64" : "x64";
    const { id } = await hostReleaseFacts(arch, { progress: createProgress() });
    release = `/opt/openclaw-fleet/releases/${id}`;
    const ports = { "18790": "the router" };
    const needs = {
      fleet: "test",
      node: "a",
      arch,
      memoryMiB: 512,
      dataMiB: 500,
      ports,
      units: [],
    };
    const inputs = { host: lab.connection("a", "admin"), artifact: id, needs };
    const handler = new ArtifactHandler({ open: (to) => openSsh(to, { configFile: "none" }) });
    const say = (line: string) => void process.stderr.write(`${line}\n`);
    const { signal } = new AbortController();
    const operation = { preview: false, programRuns: true, signal, say };
    const { state } = await handler.create(inputs, operation);
    expect(state.condition).toBe("whole");
    // From the first release on, disk is wanted for two: so much it takes.
    const { stdout } = await lab.host("a").run(["du", "-sm", release]);
    expect(Number.parseInt(stdout, 10)).toBeLessThan(800);
  }, 1_200_000);
  afterAll(async () => {
    await lab?.close();
  });

  test("has programs that run on a host without anything else", async () => {
    const host = lab.host("a");
    const said = async (...argv: string[]) => (await host.run(["env", "-i", ...argv])).stdout;
    expect(await said(`${release}/bin/node`, "--version")).toMatch(/^v24\./);
    expect(await said(`${release}/bin/etcd`, "--version")).toMatch(/^etcd Version: 3\./);
    expect(await said(`${release}/bin/etcdctl`, "version")).toMatch(/^etcdctl version: 3\./);
    expect(await said(`${release}/bin/etcdutl`, "version")).toMatch(/^etcdutl version: 3\./);
  });

  test("has a runtime that starts", async () => {
    const agent = [`${release}/bin/node`, `${release}/runtime/host-agent.js`];
    const { code, stderr } = await lab.host("a").run(agent, { check: false, stdin: "no JSON" });
    expect([code, stderr]).toEqual([2, expect.stringContaining("its input is no request")]);
  });

  test("has an OpenClaw that boots as hardened as a node is, with all that it reads", async () => {
    const host = lab.host("a");
    await host.run("useradd --system --create-home --home-dir /srv/gateway gateway");
    await host.run(["sh", "-c", "cat > /srv/gateway/openclaw.json"], {
      stdin: JSON.stringify(CONFIG),
    });
    await host.run("chown -R gateway /srv/gateway");
    const openclaw = `${release}/openclaw/node_modules/openclaw/openclaw.mjs`;
    const unit = ["--unit=gateway", "--uid=gateway", "--setenv=OPENCLAW_STATE_DIR=/srv/gateway"];
    await host.run([
      ...["systemd-run", ...unit, "--setenv=OPENCLAW_NO_RESPAWN=1"],
      ...hardening(release, "/srv/gateway"),
      ...[`${release}/bin/node`, openclaw, "gateway", "run", "--port", String(PORT)],
    ]);
    const ask = (path: string) =>
      host.run([
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        `127.0.0.1:${PORT}${path}`,
      ]);
    try {
      await eventually(async () => expect((await ask("/startupz")).stdout).toBe("200"), BOOT_MS);
      expect((await ask("/")).stdout).toBe("200");
      const { stdout } = await host.run("journalctl -u gateway --no-pager -o cat");
      expect(stdout).not.toMatch(/cannot find (module|package)|ENOENT|MODULE_NOT_FOUND/i);
    } catch (error) {
      const { stdout } = await host.run("journalctl -u gateway --no-pager -o cat -n 50");
      throw new Error(`${(error as Error).message}\n${stdout}`);
    } finally {
      await host.run("systemctl stop gateway", { check: false });
    }
  }, 600_000);
});
