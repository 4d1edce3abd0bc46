import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { HostContext, HostPart } from "../../components/host/types.ts";
import { planNode } from "../../components/node/plan.ts";
import { FAILED_UNIT, NODE_UNIT } from "../../components/node/unit.ts";
import { issue, makeAuthority } from "../../plugin/host/authority.ts";
import { eventually } from "../support/eventually.ts";
import type { TestHost } from "./support/host.ts";
import { TestHosts } from "./support/lab.ts";
import {
  carryOut,
  contextFor,
  fastRelease,
  fleetSettings,
  forTests,
  putRelease,
  TOKENS,
  tokenSecrets,
} from "./support/node-unit.ts";
import { whyNoHosts } from "./support/programs.ts";

const WAIT_MS = 90_000;
/** Long enough for a loaded machine to feed it, short enough to be waited for. */
const WATCHDOG_S = 20;

describe.skipIf(whyNoHosts() !== null)("a node as a service of a host", () => {
  let lab: TestHosts;
  let host: TestHost;
  let context: HostContext;
  let part: HostPart;

  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: ["a"] });
    host = lab.host("a");
    context = contextFor(lab.hosts, host);
    await putRelease(host, context, await fastRelease());
    const now = new Date();
    const authority = await makeAuthority("lab", now);
    const leaf = await issue(
      authority,
      { fleet: "lab", name: "a", addresses: [host.address, "a"], days: 30 },
      now,
    );
    part = planNode(context, {
      releaseId: "1.0.0",
      openclaw: `${context.paths.release}/openclaw/openclaw.mjs`,
      cores: 2,
      etcdEndpoints: null,
      fleet: fleetSettings(["s1"]),
    });
    await carryOut(host, [part], {
      "tls.ca": authority.cert,
      "tls.a.cert": leaf.cert,
      "tls.a.key": leaf.key,
      ...tokenSecrets,
    });
    await forTests(host, NODE_UNIT, WATCHDOG_S);
    await host.run(["systemctl", "enable", "--now", NODE_UNIT]);
  });
  afterAll(async () => {
    await lab?.close();
  });

  const show = async (property: string, unit = NODE_UNIT) =>
    (await host.run(["systemctl", "show", "--value", "-p", property, unit])).stdout.trim();
  const mainPid = async () => Number(await show("MainPID"));
  const restarts = async () => Number(await show("NRestarts"));

  /** A turn by the router on the host itself. */
  async function chat(message: string): Promise<string> {
    const body = JSON.stringify({ message, session: "one" });
    const { stdout } = await host.run([
      ...["curl", "--silent", "--fail-with-body", "--max-time", "30"],
      ...["-H", `authorization: Bearer ${TOKENS.client}`, "-H", "content-type: application/json"],
      ...["-d", body, `http://127.0.0.1:${context.ports.local}/api/v1/chat`],
    ]);
    return (JSON.parse(stdout) as { reply: string }).reply;
  }
  const answers = () => eventually(async () => expect(await chat("hi")).not.toBe(""), WAIT_MS);
  const journal = async () =>
    (await host.run(["journalctl", "--no-pager", "-o", "cat", "-u", NODE_UNIT])).stdout;

  test("it is active when its router listens, says how it is, and answers a turn", async () => {
    expect(await show("ActiveState")).toBe("active");
    await answers();
    await eventually(async () => {
      expect(await show("StatusText")).toBe("1 shards here, 1 of 1 in the fleet serve");
    }, WAIT_MS);
    // The plan's own check.
    await host.run(part.checks?.["the node takes requests"]?.argv ?? ["false"]);
  });

  test("its log is lines of JSON in the journal, without a file of its own", async () => {
    const lines = (await journal()).split("\n").filter((line) => line.startsWith("{"));
    const said = lines.map((line) => JSON.parse(line) as { msg: string });
    expect(said.some(({ msg }) => msg === "node a is up")).toBe(true);
    expect(await host.readFile(`${context.paths.data}/nodes/a/node.log`)).toBeNull();
    expect(lines.join("\n")).not.toContain(TOKENS.admin);
  });

  test("each gateway is in a control group of its own below the service's", async () => {
    const group = await show("ControlGroup");
    const { stdout } = await host.run(
      `cd /sys/fs/cgroup${group} && find . -name cgroup.procs -exec grep -l . {} +`,
    );
    const groups = stdout.trim().split("\n").sort();
    expect(groups.some((path) => /\/s1-\d+\/cgroup\.procs$/.test(path))).toBe(true);
    expect(groups).toContain("./openclaw-fleet/daemon/cgroup.procs");
    // None in the group itself, which could hand no limits down then.
    expect(groups).not.toContain("./cgroup.procs");
  });

  test("ports for other machines ask for certificates, and plain HTTP is on loopback alone", async () => {
    const { stdout } = await host.run("ss -Hltn | awk '{print $4}'");
    const listening = stdout.trim().split("\n");
    expect(listening).toContain(`127.0.0.1:${context.ports.local}`);
    expect(listening).toContain(`0.0.0.0:${context.ports.router}`);
    expect(listening).toContain(`0.0.0.0:${context.ports.peer}`);
    for (const port of [context.ports.router, context.ports.peer]) {
      const ask = await host.run(
        ["curl", "-sk", "--max-time", "5", `https://127.0.0.1:${port}/healthz`],
        { check: false },
      );
      expect(ask.code, String(port)).not.toBe(0);
    }
  });

  test("what systemd thinks of its hardening stays as good as it was", async () => {
    const { stdout } = await host.run(["systemd-analyze", "security", "--no-pager", NODE_UNIT], {
      check: false,
    });
    const score = Number(/exposure level for .*: ([\d.]+)/.exec(stdout)?.[1]);
    expect(score).toBeLessThanOrEqual(HARDENING_SCORE);
  });

  test("its hardening leaves OpenClaw the call by which it opens files", async () => {
    const unit = part.units?.[NODE_UNIT]?.content ?? "";
    // Perl, which every Debian has, passes no literal; systemd wants $ twice. 437 is openat2 on all
    // processors, 8 is RESOLVE_BENEATH.
    const open = `syscall(437, -100, @{["."]}, @{[pack("Q3", 0, 0, 8)]}, 24) >= 0 or die "openat2: $$!"`;
    const probe = unit
      .replace("Type=notify", "Type=oneshot")
      .replace(/^ExecStart=.*$/m, () => `ExecStart=/usr/bin/perl -e '${open}'`)
      .replace(/^(Restart|WatchdogSec|OnFailure)=.*$/gm, "");
    await host.run("cat > /run/systemd/system/probe.service; systemctl daemon-reload", {
      stdin: probe,
    });
    const { code } = await host.run("systemctl start probe.service", { check: false });
    const { stdout } = await host.run("journalctl --no-pager -o cat -u probe.service");
    expect(code, stdout).toBe(0);
  });

  test.each(["SIGKILL", "SIGABRT"])("a daemon ended by %s is started again", async (signal) => {
    const [pid, before] = [await mainPid(), await restarts()];
    await host.run(["kill", `-${signal}`, String(pid)]);
    await eventually(async () => expect(await restarts()).toBe(before + 1), WAIT_MS);
    await answers();
    expect(await mainPid()).not.toBe(pid);
  });

  test("a daemon that was stopped is killed by the watchdog, and started again", async () => {
    const [pid, before] = [await mainPid(), await restarts()];
    await host.run(["kill", "-STOP", String(pid)]);
    await eventually(async () => expect(await restarts()).toBe(before + 1), WAIT_MS);
    await answers();
    expect(await journal()).toContain("Watchdog timeout");
  });

  test("a supervisor that was stopped is killed by its keeper; the service goes on", async () => {
    const [pid, before] = [await mainPid(), await restarts()];
    const { stdout } = await host.run(`pgrep -f '[r]untime/node.js' -P ${pid}`);
    await host.run(["kill", "-STOP", stdout.trim()]);
    await eventually(async () => {
      const { stdout: now } = await host.run(`pgrep -f '[r]untime/node.js' -P ${pid}`);
      expect(now.trim()).not.toBe(stdout.trim());
    }, WAIT_MS);
    await answers();
    expect([await mainPid(), await restarts()]).toEqual([pid, before]);
  });

  test("a planned stop leaves nothing, and says what it does", async () => {
    await host.run(["systemctl", "stop", NODE_UNIT]);
    expect(await show("Result")).toBe("success");
    const { stdout } = await host.run("pgrep -u openclaw || :");
    expect(stdout).toBe("");
    await host.run(["systemctl", "start", NODE_UNIT]);
    await answers();
  });

  test("a reboot brings everything back, and a power loss too; the conversation goes on", async () => {
    const count = async () => Number(/\d+/.exec(await chat("[[count]]"))?.[0] ?? 0);
    const before = await count();
    await host.reboot();
    await answers();
    await host.powerOff();
    await host.start();
    await answers();
    expect(await count()).toBeGreaterThanOrEqual(before);
  });

  test("a daemon that cannot start is given up after five times, and somebody is told", async () => {
    await host.run(["systemctl", "stop", NODE_UNIT]);
    const file = `${context.paths.data}/nodes/a/node.json`;
    await host.run(`mv ${file} ${file}.away`);
    await host.run(["systemctl", "start", NODE_UNIT], { check: false });
    await eventually(async () => expect(await show("ActiveState")).toBe("failed"), WAIT_MS);
    await eventually(async () => {
      const { stdout } = await host.run([
        ...["journalctl", "--no-pager", "-o", "cat", "-p", "alert", "-u", FAILED_UNIT],
      ]);
      expect(stdout).toContain("node a failed 5 times within 300 s");
    }, WAIT_MS);
    await host.run(`mv ${file}.away ${file}; systemctl reset-failed ${NODE_UNIT}`);
    await host.run(["systemctl", "start", NODE_UNIT]);
    await answers();
  });
});

/** As measured with systemd 252 when the unit was written; 10 is no hardening at all. */
const HARDENING_SCORE = 3.1;
