import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CADDY_UNIT, planCaddy } from "../../components/caddy/plan.ts";
import { planFront } from "../../components/front/plan.ts";
import type { HostPart } from "../../components/host/types.ts";
import { NGINX_UNIT, planNginx } from "../../components/nginx/plan.ts";
import { planRedis, redisPasswords, SENTINEL_UNIT } from "../../components/redis/plan.ts";
import { eventually } from "../support/eventually.ts";
import type { TestHost } from "./support/host.ts";
import { PlannedHosts, unitShows } from "./support/planned-hosts.ts";
import { whyNoHosts } from "./support/programs.ts";

const REDIS_UNIT = "openclaw-fleet-redis.service";
/** Longest wait for hosts to agree, ms. */
const AGREE_MS = 120_000;
/** Three hosts are made one after the other. */
const SETUP_MS = 600_000;

describe.skipIf(whyNoHosts() !== null)("front and Redis under their own units", () => {
  let planned: PlannedHosts;
  let lab: PlannedHosts["lab"];

  const partsOf = (host: TestHost, balancing: "least_conn" | "round_robin"): HostPart[] => {
    const context = planned.context(host);
    const front = planFront(context.hosts, {
      names: [],
      certificate: { kind: "fleet" },
      hosts: ["a"],
      balancing,
    });
    return [planNginx(context, front), planRedis(context, { mode: "sentinel", memoryMiB: 64 })];
  };
  const sentinelOf = async (host: TestHost) => {
    const ask = [
      ...["redis-cli", "--tls", "--cacert", "/etc/openclaw-fleet/redis/tls/ca.pem"],
      ...["-h", host.address, "-p", "26379", "--user", "health", "--pass", "-"],
      ...["--no-auth-warning", "-e", "SENTINEL", "get-master-addr-by-name", "fleet"],
    ];
    const { stdout } = await host.run(ask);
    return lab.hosts.find(({ address }) => stdout.startsWith(`${address}\n`));
  };

  beforeAll(async () => {
    planned = await PlannedHosts.create(["a", "b", "c"]);
    lab = planned.lab;
    for (const name of redisPasswords("sentinel")) planned.secrets[name] = `password-of-${name}`;
    for (const host of lab.hosts) await planned.deploy(host, partsOf(host, "least_conn"));
  }, SETUP_MS);
  afterAll(async () => {
    await planned?.close();
  });

  test("all units run, hardened as they are, and nothing differs from the plan", async () => {
    for (const host of lab.hosts) {
      const units = [REDIS_UNIT, SENTINEL_UNIT, ...(host.name === "a" ? [NGINX_UNIT] : [])];
      for (const unit of units)
        expect(await unitShows(host, unit, "ActiveState"), unit).toBe("active");
      expect(
        (await host.run("systemctl is-enabled redis-server nginx || true")).stdout,
      ).not.toMatch(/^enabled/m);
    }
    await eventually(async () => {
      for (const host of lab.hosts) expect((await sentinelOf(host))?.name).toBe("a");
    }, AGREE_MS);
    for (const host of lab.hosts) expect(await planned.drift(host), host.name).toEqual({});
  });

  test("the front answers on its ports, logs to the journal, and takes new settings while it runs", async () => {
    const host = lab.host("a");
    const ask = async (url: string) =>
      (
        await host.run(
          `curl -sk -o /tmp/body -w '%{http_code}' -H 'x-request-id: asked-1' '${url}'; cat /tmp/body`,
        )
      ).stdout;
    expect(await ask("http://localhost/v1/models")).toMatch(/^308/);
    expect(await ask("https://localhost/v1/models?q=hidden")).toMatch(/^503.*no_owner/s);
    expect(await ask("https://localhost/internal/x")).toMatch(/^404.*not_found/s);
    await eventually(async () => {
      const lines = (await host.run("journalctl -t openclaw_fleet_nginx -o cat")).stdout;
      const line = lines.split("\n").find((each) => each.includes('"status":503')) ?? "";
      expect(JSON.parse(line)).toMatchObject({ msg: "request", instanceId: "a", status: 503 });
      expect(lines).not.toContain("hidden");
    });
    const pid = await unitShows(host, NGINX_UNIT, "MainPID");
    await planned.deploy(host, partsOf(host, "round_robin"));
    expect(await unitShows(host, NGINX_UNIT, "MainPID")).toBe(pid);
    expect(await ask("https://localhost/v1/models")).toMatch(/^503/);
  });

  test("Caddy serves under its own unit, and is told of new certificates while it runs", async () => {
    const host = lab.host("b");
    const context = planned.context(host);
    const front = planFront(context.hosts, {
      names: [],
      certificate: { kind: "fleet" },
      hosts: ["b"],
    });
    const parts = [
      planCaddy(context, front),
      planRedis(context, { mode: "sentinel", memoryMiB: 64 }),
    ];
    await planned.deploy(host, parts);
    const pid = await unitShows(host, CADDY_UNIT, "MainPID");
    const ask = async () =>
      (await host.run("curl -sk -w '%{http_code}' 'https://localhost/v1/models?q=hidden'")).stdout;
    expect(await ask()).toMatch(/no_owner.*503$/s);
    const served = async () =>
      (await host.run("curl -sk -o /dev/null -w '%{certs}' https://localhost/")).stdout;
    const before = await served();
    expect(before).toContain("BEGIN CERTIFICATE");
    await planned.certify(host, ["new"]);
    await planned.deploy(host, parts);
    expect(await unitShows(host, CADDY_UNIT, "MainPID")).toBe(pid);
    await eventually(async () => expect(await served()).not.toBe(before));
    expect((await host.run(`journalctl -u ${CADDY_UNIT} -o cat`)).stdout).not.toContain("hidden");
  });

  test("the master's host loses its power: another serves, and it comes back as a replica", async () => {
    await lab.host("a").powerOff();
    await eventually(async () => {
      for (const name of ["b", "c"]) expect((await sentinelOf(lab.host(name)))?.name).not.toBe("a");
    }, AGREE_MS);
    await lab.host("a").start();
    await eventually(async () => {
      const conf = await lab
        .host("a")
        .run("grep -h ^replicaof /var/lib/openclaw-fleet-redis/1/redis.conf");
      expect(conf.stdout).toMatch(/^replicaof /);
      expect(await unitShows(lab.host("a"), REDIS_UNIT, "ActiveState")).toBe("active");
      expect(await unitShows(lab.host("a"), NGINX_UNIT, "ActiveState")).toBe("active");
    }, AGREE_MS);
    expect(await planned.drift(lab.host("a"))).toEqual({});
  });
});
