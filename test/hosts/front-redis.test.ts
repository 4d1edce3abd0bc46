import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CADDY_UNIT, planCaddy } from "../../components/caddy/plan.ts";
import { planFront } from "../../components/front/plan.ts";
import { mergeParts } from "../../components/host/merge.ts";
import type { HostPart, HostPlan } from "../../components/host/types.ts";
import { NGINX_UNIT, planNginx } from "../../components/nginx/plan.ts";
import { planRedis, redisPasswords, SENTINEL_UNIT } from "../../components/redis/plan.ts";
import type { Operation } from "../../plugin/handler.ts";
import { issue, type KeyPair, makeAuthority } from "../../plugin/host/authority.ts";
import { ReleaseHandler } from "../../plugin/host/release.ts";
import { openSsh } from "../../plugin/host/ssh.ts";
import { type Props, reveal, secret } from "../../plugin/values.ts";
import { bundleRuntime } from "../../toolchain/bundle.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { eventually } from "../support/eventually.ts";
import type { TestHost } from "./support/host.ts";
import { TestHosts } from "./support/lab.ts";
import { contextFor, putRelease } from "./support/node-unit.ts";
import { whyNoHosts } from "./support/programs.ts";

const REDIS_UNIT = "openclaw-fleet-redis.service";
/** Longest wait for hosts to agree, ms. */
const AGREE_MS = 120_000;
/** Three hosts are made one after the other. */
const SETUP_MS = 600_000;

describe.skipIf(whyNoHosts() !== null)("front and Redis under their own units", () => {
  let lab: TestHosts;
  let authority: KeyPair;
  const secrets: Record<string, string> = {};
  const states = new Map<string, { state: Props; news: Props }>();
  const release = new ReleaseHandler({ open: openSsh, env: {} });
  const op = (): Operation & { preview: boolean } => ({
    preview: false,
    signal: new AbortController().signal,
    say: () => {},
    programRuns: true,
  });

  /** The certificates that every host has. */
  const tlsPart = (host: TestHost): HostPart => {
    const { tls } = contextFor(lab.hosts, host).paths;
    const file = (content: string) => ({ content, owner: "root", group: "root", mode: "0640" });
    return {
      directories: { [tls]: { owner: "root", group: "root", mode: "0755" } },
      files: {
        [`${tls}/ca.pem`]: file("{{secret tls.ca}}"),
        [`${tls}/node.pem`]: file(`{{secret tls.${host.name}.cert}}`),
        [`${tls}/node.key`]: file(`{{secret tls.${host.name}.key}}`),
      },
    };
  };
  const planOf = (host: TestHost, balancing: "least_conn" | "round_robin"): HostPlan => {
    const context = contextFor(lab.hosts, host);
    const front = planFront(context.hosts, {
      names: [],
      certificate: { kind: "fleet" },
      hosts: ["a"],
      balancing,
    });
    return mergeParts([
      tlsPart(host),
      planNginx(context, front),
      planRedis(context, { mode: "sentinel", memoryMiB: 64 }),
    ]);
  };
  const inputsOf = (host: TestHost, plan: HostPlan): Props => {
    const { inputs, failures } = release.check(undefined, {
      host: lab.connection(host.name),
      ...{ fleet: "lab", node: host.name, artifact: "test", apiPort: 0 },
      ...{ keepData: false, protected: false, plan, secrets: secret(secrets) },
    });
    expect(failures).toEqual([]);
    return inputs;
  };
  const shows = async (host: TestHost, unit: string, property: string) =>
    (await host.run(["systemctl", "show", "--value", "-p", property, unit])).stdout.trim();
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
    lab = await TestHosts.create({ hosts: ["a", "b", "c"] });
    authority = await makeAuthority("lab", new Date());
    secrets["tls.ca"] = authority.cert;
    for (const name of redisPasswords("sentinel")) secrets[name] = `password-of-${name}`;
    const { files } = await bundleRuntime(PROJECT_ROOT);
    const agent = files.find(({ name }) => name === "host-agent.js")?.text ?? "";
    for (const host of lab.hosts) {
      const addresses = [host.name, host.address, "localhost"];
      const request = { fleet: "lab", name: host.name, addresses, days: 30 };
      const pair = await issue(authority, request, new Date());
      secrets[`tls.${host.name}.cert`] = pair.cert;
      secrets[`tls.${host.name}.key`] = pair.key;
      await putRelease(host, contextFor(lab.hosts, host), {
        "runtime/host-agent.js": agent,
        "runtime/package.json": '{ "type": "module" }\n',
      });
    }
    for (const host of lab.hosts) {
      const news = inputsOf(host, planOf(host, "least_conn"));
      states.set(host.name, { news, state: (await release.create(news, op())).state });
    }
  }, SETUP_MS);
  afterAll(async () => {
    await lab?.close();
  });

  test("all units run, hardened as they are, and nothing differs from the plan", async () => {
    for (const host of lab.hosts) {
      const units = [REDIS_UNIT, SENTINEL_UNIT, ...(host.name === "a" ? [NGINX_UNIT] : [])];
      for (const unit of units) expect(await shows(host, unit, "ActiveState"), unit).toBe("active");
      expect(
        (await host.run("systemctl is-enabled redis-server nginx || true")).stdout,
      ).not.toMatch(/^enabled/m);
    }
    await eventually(async () => {
      for (const host of lab.hosts) expect((await sentinelOf(host))?.name).toBe("a");
    }, AGREE_MS);
    for (const host of lab.hosts) {
      const { state, news } = states.get(host.name) as { state: Props; news: Props };
      const found = await release.read(`lab/${host.name}`, state, news);
      expect(reveal(found?.state.drift), host.name).toEqual({});
    }
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
    const pid = await shows(host, NGINX_UNIT, "MainPID");
    const { state } = states.get("a") as { state: Props };
    const news = inputsOf(host, planOf(host, "round_robin"));
    // Its router is not there, and the check of a whole fleet would wait for it.
    const without = {
      ...(news.plan as HostPlan),
      checks: Object.fromEntries(
        Object.entries((news.plan as HostPlan).checks).filter(([name]) => !/front/.test(name)),
      ),
    };
    const after = await release.update("lab/a", state, { ...news, plan: without }, op());
    states.set("a", { state: after, news: { ...news, plan: without } });
    expect(await shows(host, NGINX_UNIT, "MainPID")).toBe(pid);
    expect(await ask("https://localhost/v1/models")).toMatch(/^503/);
  });

  test("Caddy serves under its own unit, and is told of new certificates while it runs", async () => {
    const host = lab.host("b");
    const context = contextFor(lab.hosts, host);
    const front = planFront(context.hosts, {
      names: [],
      certificate: { kind: "fleet" },
      hosts: ["b"],
    });
    const caddy = planCaddy(context, front);
    const plan = mergeParts([
      tlsPart(host),
      planRedis(context, { mode: "sentinel", memoryMiB: 64 }),
      // Without the check of a whole fleet, as above.
      { ...caddy, checks: {} },
    ]);
    const { state } = states.get("b") as { state: Props };
    const news = inputsOf(host, plan);
    const after = await release.update("lab/b", state, news, op());
    const pid = await shows(host, CADDY_UNIT, "MainPID");
    const ask = async () =>
      (await host.run("curl -sk -w '%{http_code}' 'https://localhost/v1/models?q=hidden'")).stdout;
    expect(await ask()).toMatch(/no_owner.*503$/s);
    const served = async () =>
      (await host.run("curl -sk -o /dev/null -w '%{certs}' https://localhost/")).stdout;
    const before = await served();
    expect(before).toContain("BEGIN CERTIFICATE");
    const anew = await issue(
      authority,
      { fleet: "lab", name: "b", addresses: ["b", host.address, "new"], days: 30 },
      new Date(),
    );
    secrets["tls.b.cert"] = anew.cert;
    secrets["tls.b.key"] = anew.key;
    const renewed = inputsOf(host, plan);
    states.set("b", {
      state: await release.update("lab/b", after, renewed, op()),
      news: renewed,
    });
    expect(await shows(host, CADDY_UNIT, "MainPID")).toBe(pid);
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
      expect(await shows(lab.host("a"), REDIS_UNIT, "ActiveState")).toBe("active");
      expect(await shows(lab.host("a"), NGINX_UNIT, "ActiveState")).toBe("active");
    }, AGREE_MS);
    const { state, news } = states.get("a") as { state: Props; news: Props };
    const found = await release.read("lab/a", state, news);
    expect(reveal(found?.state.drift)).toEqual({});
  });
});
