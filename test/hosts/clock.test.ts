import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { HostContext } from "../../components/host/types.ts";
import { planNode } from "../../components/node/plan.ts";
import { NODE_UNIT } from "../../components/node/unit.ts";
import { bootClock } from "../../gateway/clock.ts";
import { type FleetStatus, LEASE } from "../../gateway/contract.ts";
import { issue, makeAuthority } from "../../plugin/host/authority.ts";
import { allPids } from "../drill/processes.ts";
import { eventually } from "../support/eventually.ts";
import { FULL } from "../support/share.ts";
import { CLOCK_ENVIRONMENT, giveClocks, hasOwnClock, stepClock } from "./support/clocks.ts";
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

const WAIT_MS = 120_000;
/** As a plan has it: a step must not feed or starve it. */
const WATCHDOG_S = 60;

describe.skipIf(!FULL || whyNoHosts() !== null)("a node whose wall clock is stepped", () => {
  let lab: TestHosts;
  let host: TestHost;
  let context: HostContext;

  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: ["a"] });
    host = lab.host("a");
    await giveClocks(lab.hosts);
    context = contextFor(lab.hosts, host);
    await putRelease(host, context, await fastRelease());
    const now = new Date();
    const authority = await makeAuthority("lab", now);
    const names = { name: "a", addresses: [host.address, "a"] };
    const leaf = await issue(authority, { fleet: "lab", ...names, days: 30 }, now);
    const fleet = fleetSettings(["s1"]);
    const agents = fleet.agents.map((agent) => ({ ...agent, env: { ...CLOCK_ENVIRONMENT } }));
    const part = planNode(context, {
      releaseId: "1.0.0",
      openclaw: `${context.paths.release}/openclaw/openclaw.mjs`,
      cores: 2,
      etcdEndpoints: null,
      fleet: { ...fleet, agents },
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

  async function ask(path: string, token: string, body?: object): Promise<unknown> {
    const { stdout } = await host.run([
      ...["curl", "--silent", "--fail-with-body", "--max-time", "30"],
      ...["-H", `authorization: Bearer ${token}`, "-H", "content-type: application/json"],
      ...(body ? ["-d", JSON.stringify(body)] : []),
      `http://127.0.0.1:${context.ports.local}${path}`,
    ]);
    return JSON.parse(stdout);
  }
  /** What a lost lease or a restart would change. */
  const shard = async () => {
    const { shards } = (await ask("/api/v1/fleet", TOKENS.admin)) as FleetStatus;
    const { owner, epoch, state, pid, startedAt, restarts } = shards[0] ?? {};
    return { owner, epoch, state, pid, startedAt, restarts };
  };
  const chat = async () => {
    const body = { message: "hi", session: "one" };
    expect(await ask("/api/v1/chat", TOKENS.client, body)).toMatchObject({ shard: "s1" });
  };
  /** One turn after the other for longer than a lease lasts. */
  const beyondALease = async () => {
    const until = bootClock.now() + 1.5 * LEASE.ttlMs;
    do await chat();
    while (bootClock.now() < until);
  };

  test("keeps its shard, its gateway and every turn, a minute forward and a minute back", {
    timeout: 600_000,
  }, async () => {
    await eventually(
      async () => expect(await shard()).toMatchObject({ state: "serving" }),
      WAIT_MS,
    );
    await eventually(chat, WAIT_MS);
    const before = await shard();
    const own = allPids().filter((pid) => host.has(pid) && hasOwnClock(pid));
    // The keeper, the node's program, and the gateway at least.
    expect(own.length).toBeGreaterThanOrEqual(3);
    for (const seconds of [60, 0, -60, 0]) {
      await stepClock(host, seconds);
      await beyondALease();
      expect(await shard()).toEqual(before);
    }
    const { stdout } = await host.run(
      `systemctl show --value -p NRestarts ${NODE_UNIT}; journalctl --no-pager -o cat -u ${NODE_UNIT}`,
    );
    expect(stdout.split("\n")[0]).toBe("0");
    expect(stdout).not.toMatch(/fenced|deadline passed/);
  });
});
