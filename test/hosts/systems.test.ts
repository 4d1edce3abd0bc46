import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cacheDir } from "../../toolchain/paths.ts";
import { makeProject, type Project, PULUMI } from "../engine/fixtures/project.ts";
import { eventually } from "../support/eventually.ts";
import { FULL } from "../support/share.ts";
import { FleetClient, type FleetOutputs } from "./support/fleet-client.ts";
import { TestHosts } from "./support/lab.ts";
import { whyNoHosts } from "./support/programs.ts";
import { hostsSettings } from "./support/stack-settings.ts";
import { fleetTraces } from "./support/traces.ts";

const OPENCLAW = process.env.OPENCLAW_FLEET_OPENCLAW;
const NAMES = ["a", "b"];
/** Gateways boot in ten seconds on an idle machine, and wait for each other on a busy one. */
const WAIT_MS = 240_000;
const UP_MS = 900_000;
/** The image of a system is made first, where it is not there yet. */
const SETUP_MS = 1_200_000;
/** What /etc/os-release says. */
const SYSTEMS = [
  { system: "trixie", says: "debian 13" },
  { system: "noble", says: "ubuntu 24.04" },
] as const;

/** The systems that are supported beside Debian 12, which all other tests run on. Everything is real. */
describe.skipIf(!FULL || !PULUMI || !OPENCLAW || whyNoHosts() !== null).each(SYSTEMS)(
  "a fleet of two hosts with $says",
  ({ system, says }) => {
    let lab: TestHosts;
    let project: Project;
    let fleet: FleetClient;
    let before: string;
    const env = { XDG_CACHE_HOME: dirname(cacheDir()) };
    const must = async (...args: string[]) => {
      const run = await project.pulumi(args, env);
      expect(run.code, run.text).toBe(0);
    };
    const use = (kind: "nginx" | "caddy") =>
      project.settings(
        hostsSettings(lab, {
          ...{ preset: "small", shards: 1, monitoring: { enabled: true } },
          front: { kind, certificate: "fleet" },
        }),
      );
    /** Every unit of the fleet's that is not as it should be, by host. */
    const unwell = async () => {
      const found = await Promise.all(
        lab.hosts.map(async (host) => {
          const { stdout } = await host.run(
            "systemctl list-units --all --plain --no-legend 'openclaw-fleet-*'; systemctl --failed --plain --no-legend",
          );
          const lines = stdout.split("\n").filter((line) => line.trim() !== "");
          expect(lines.length, host.name).toBeGreaterThan(0);
          // What only runs when it is called rests; others are only named, and are on the other host.
          const well = / (loaded +active|(loaded|not-found) +inactive +dead)/;
          const bad = lines.filter((line) => !well.test(line));
          return bad.map((line) => `${host.name}: ${line}`);
        }),
      );
      return found.flat();
    };

    beforeAll(async () => {
      lab = await TestHosts.create({ hosts: NAMES, system });
      project = await makeProject();
      use("nginx");
      await must("stack", "init", "test");
      before = await fleetTraces(lab.hosts);
    }, SETUP_MS);
    afterAll(async () => {
      project?.remove();
      await lab?.close();
    });

    test("up makes a fleet of them, with monitoring, and a chat is answered through TLS", {
      timeout: UP_MS,
    }, async () => {
      for (const host of lab.hosts) {
        const { stdout } = await host.run('. /etc/os-release; echo "$ID $VERSION_ID"');
        expect(stdout.trim()).toBe(says);
      }
      await must("up", "--yes");
      const { stdout } = await project.pulumi(["stack", "output", "--json", "--show-secrets"]);
      fleet = new FleetClient(JSON.parse(stdout) as FleetOutputs);
      expect((await fleet.chat("first")).reply).toContain("hello");
      const { nodes, shards } = await fleet.status();
      expect(nodes.map(({ id }) => id).sort()).toEqual(NAMES);
      expect(shards.map(({ state }) => state)).toEqual(["serving"]);
      expect(await unwell()).toEqual([]);
    });

    test("each shard's replica is on the other host and can be restored", async () => {
      const { shards } = await fleet.status();
      for (const { id, owner } of shards) {
        const { point } = await eventually(
          async () =>
            (await fleet.admin("/api/v1/fleet/restore", { shard: id, drill: true })) as {
              point: { site: string };
            },
          WAIT_MS,
        );
        expect(point.site).toBe(NAMES.find((name) => name !== owner));
      }
    });

    test("Prometheus sees every program that it asks", async () => {
      const [watching] = lab.hosts.slice(-1);
      const down = "http://127.0.0.1:9090/api/v1/query?query=up%3D%3D0";
      await eventually(async () => {
        const { stdout } = await (watching as (typeof lab.hosts)[number]).run(["curl", "-s", down]);
        expect(JSON.parse(stdout)).toMatchObject({ status: "success", data: { result: [] } });
      }, WAIT_MS);
    });

    test("Caddy takes the place of Nginx", { timeout: UP_MS }, async () => {
      use("caddy");
      await must("up", "--yes");
      expect((await fleet.chat("first", "through Caddy")).reply).toContain("through Caddy");
      expect(await unwell()).toEqual([]);
    });

    test("a host that was rebooted is as it was", { timeout: UP_MS }, async () => {
      const host = lab.host("b");
      await host.reboot();
      await eventually(async () => {
        const { nodes, shards } = await fleet.status();
        expect(nodes.map(({ state }) => state)).toEqual(["active", "active"]);
        expect(shards.map(({ state }) => state)).toEqual(["serving"]);
        expect(await unwell()).toEqual([]);
      }, WAIT_MS);
      expect((await fleet.chat("first", "after it")).reply).toContain("after it");
      await must("refresh", "--yes");
      await must("up", "--yes", "--expect-no-changes");
    });

    test("destroy leaves no trace", { timeout: UP_MS }, async () => {
      await must("destroy", "--yes");
      expect(await fleetTraces(lab.hosts)).toBe(before);
    });
  },
);
