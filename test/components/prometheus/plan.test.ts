import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../components/errors.ts";
import { mergeParts } from "../../../components/host/merge.ts";
import type { HostPart } from "../../../components/host/types.ts";
import { UNITS } from "../../../components/prometheus/catalog.ts";
import {
  planNodeExporter,
  planPrometheus,
  scraperAddresses,
  watchingHost,
} from "../../../components/prometheus/plan.ts";
import { canaryConfig } from "../../../gateway/canary/config.ts";
import { unpacked, watchPrograms } from "../../support/watch-programs.ts";
import { context, MARKED, need, THREE } from "./sample.ts";

const ETC = "/etc/openclaw-fleet/monitoring";
const content = (part: HostPart, name: string) => part.files?.[`${ETC}/${name}`]?.content ?? "";
const json = (part: HostPart, name: string) => JSON.parse(content(part, name));
const jobs = (part: HostPart) =>
  new Map<string, { static_configs: { targets: string[]; labels: Record<string, string> }[] }>(
    json(part, "prometheus.yml").scrape_configs.map((job: { job_name: string }) => [
      job.job_name,
      job,
    ]),
  );
const targets = (part: HostPart, job: string) =>
  jobs(part)
    .get(job)
    ?.static_configs.map(({ targets: [target], labels }) => [labels.instance, target]);

describe("what is watched", () => {
  const part = planPrometheus(context("c"), need());

  test("every router, machine and member of etcd, over TLS with certificates both ways", () => {
    expect(targets(part, "openclaw-fleet")).toEqual([
      ["a", "10.0.0.1:18790"],
      ["b", "10.0.0.2:18790"],
      ["c", "10.0.0.3:18790"],
    ]);
    expect(targets(part, "node")?.[0]).toEqual(["a", "10.0.0.1:9100"]);
    expect(targets(part, "etcd")?.[2]).toEqual(["c", "10.0.0.3:2379"]);
    for (const name of ["openclaw-fleet", "node", "etcd"]) {
      expect(jobs(part).get(name)).toMatchObject({
        scheme: "https",
        tls_config: {
          ca_file: `${ETC}/ca.pem`,
          cert_file: `${ETC}/node.pem`,
          key_file: `${ETC}/node.key`,
          min_version: "TLS13",
        },
      });
    }
  });

  test("every Redis by its exporter, each host's front by name and by address, every certificate", () => {
    expect(targets(part, "redis")).toEqual([
      ["a", "rediss://10.0.0.1:6379"],
      ["b", "rediss://10.0.0.2:6379"],
    ]);
    expect(targets(part, "front")).toEqual([
      ["https://fleet.example.org/readyz", "https://fleet.example.org/readyz"],
    ]);
    expect(targets(part, "front-of-each-host")?.map(([, target]) => target)).toEqual([
      "https://10.0.0.1:443/readyz",
      "https://10.0.0.2:443/readyz",
      "https://10.0.0.3:443/readyz",
    ]);
    expect(targets(part, "certificates")?.[1]).toEqual([
      "router of b",
      "https://10.0.0.2:18790/healthz",
    ]);
  });

  test("a witness has a machine and a vote, and no router", () => {
    const hosts = THREE.map((host) => (host.name === "c" ? { ...host, witness: true } : host));
    const part = planPrometheus(context("c", hosts), need({ redis: [], front: null }));
    expect(targets(part, "openclaw-fleet")).toHaveLength(2);
    expect(targets(part, "certificates")).toHaveLength(2);
    expect(targets(part, "node")).toHaveLength(3);
    expect(targets(part, "etcd")).toHaveLength(3);
  });

  test("servers of one host on several ports are told apart", () => {
    const redis = [6379, 6380].map((port) => ({ host: "a", port }));
    const names = targets(planPrometheus(context("c"), need({ redis })), "redis");
    expect(names?.map(([name]) => name)).toEqual(["a:6379", "a:6380"]);
  });

  test("IPv6 addresses stand in brackets", () => {
    const hosts = [{ name: "a", address: "fd00::1" }];
    const part = planPrometheus(context("a", hosts), need({ etcd: ["a"], redis: [], front: null }));
    expect(targets(part, "openclaw-fleet")).toEqual([["a", "[fd00::1]:18790"]]);
  });

  test("what is not there has no job, unit or package", () => {
    const part = planPrometheus(context("c"), need({ redis: [], etcd: [], front: null }));
    for (const job of ["redis", "etcd", "front", "canary"]) {
      expect(jobs(part).has(job), job).toBe(false);
    }
    expect(Object.keys(part.units ?? {})).not.toContain(UNITS.redis);
    expect(Object.keys(part.units ?? {})).not.toContain(UNITS.canary);
    expect(part.packages).not.toContain("prometheus-redis-exporter");
  });
});

describe("who watches", () => {
  test.each([
    ["the last host", THREE, undefined, "c"],
    ["a witness before it", THREE.map((h) => ({ ...h, witness: h.name === "b" })), undefined, "b"],
    ["whom the settings name", THREE, "a", "a"],
  ])("%s", (_, hosts, host, expected) => {
    expect(watchingHost(hosts, { host })).toBe(expected);
  });

  test.each([
    ["one more host", [...THREE, { name: "d", address: "10.0.0.4" }], undefined, "b", "b"],
    [
      "one more that votes",
      [...THREE, { name: "w", address: "10.0.0.9", witness: true }],
      undefined,
      "c",
      "c",
    ],
    ["another one gone", THREE.slice(1), undefined, "b", "b"],
    ["itself gone", THREE.slice(0, 2), undefined, "c", "b"],
    ["another wish", THREE, "a", "b", "a"],
  ])(
    "with %s who watched goes on while it is there and nothing else is said",
    (_, hosts, host, before, expected) => {
      expect(watchingHost(hosts, { host }, before)).toBe(expected);
    },
  );

  test("a host that is not there is refused with the names that are", () => {
    expect(() => watchingHost(THREE, { host: "x" })).toThrow(
      /monitoring\.host is x, and no host has that name\. Name one of a, b, c/,
    );
  });

  test("routers let it in by its address; known by a name only, it has the admin token", () => {
    expect(scraperAddresses(THREE, "c")).toEqual(["10.0.0.3"]);
    const byAddress = planPrometheus(context("c"), need());
    expect(JSON.stringify(byAddress)).not.toContain("token.admin");
    const named = [{ name: "a", address: "a.example.org" }];
    expect(scraperAddresses(named, "a")).toEqual([]);
    const part = planPrometheus(context("a", named), need({ etcd: [], redis: [], front: null }));
    expect(content(part, "metrics-token")).toBe("{{secret token.admin}}");
    expect(jobs(part).get("openclaw-fleet")).toMatchObject({
      authorization: { credentials_file: `${ETC}/metrics-token` },
    });
  });
});

describe("secrets", () => {
  const part = planPrometheus(context("c"), need({}, { grafana: true }));

  test("a file with a secret is the monitors' alone, and nothing outside says one", () => {
    const holding = Object.entries(part.files ?? {}).filter(([, f]) =>
      f.content.includes("{{secret"),
    );
    expect(holding.map(([path]) => path.slice(ETC.length + 1)).sort()).toEqual([
      "alertmanager.yml",
      "ca.pem",
      "canary.json",
      "node.key",
      "node.pem",
      "redis-passwords.json",
    ]);
    for (const [, file] of holding) {
      expect(file).toMatchObject({ owner: "root", group: "openclaw-monitor", mode: "0640" });
    }
    expect(JSON.stringify(part.units)).not.toContain("{{secret");
  });

  test("documents that hold one are escaped as JSON", () => {
    for (const name of ["alertmanager.yml", "canary.json", "redis-passwords.json"]) {
      expect(part.files?.[`${ETC}/${name}`]?.format).toBe("json");
      expect(() => json(part, name)).not.toThrow();
    }
  });

  test("a receiver without its secret is named, all at once", () => {
    const alerts = { ...MARKED, slack: { channel: "#x" }, pagerDuty: {} };
    const plan = () =>
      planPrometheus(context("c"), need({ settings: { ...need().settings, alerts } }));
    expect(plan).toThrow(ConfigError);
    expect(plan).toThrow(/alerts\.slack\.url is missing[\s\S]*alerts\.pagerDuty\.key is missing/);
  });

  test("a secret as it is never gets into a plan, nor into the error", () => {
    const alerts = { ...MARKED, webhook: { url: "https://hooks.example.org/t0p" } };
    const plan = () =>
      planPrometheus(context("c"), need({ settings: { ...need().settings, alerts } }));
    expect(plan).toThrow(/monitoring\.alerts\.webhook\.url came to the plan as it is/);
    expect(plan).not.toThrow(/t0p/);
  });

  test("mail without an account needs no password", () => {
    const { username: _, password: __, ...email } = MARKED.email;
    const alerts = { ...MARKED, email };
    const plan = planPrometheus(context("c"), need({ settings: { ...need().settings, alerts } }));
    expect(content(plan, "alertmanager.yml")).not.toContain("auth_password");
  });
});

describe("the canary", () => {
  test("comes by the public name, with a token of its own", () => {
    const config = json(planPrometheus(context("c"), need()), "canary.json");
    expect(config).toMatchObject({
      endpoints: ["https://fleet.example.org"],
      token: "{{secret token.canary}}",
      everyMs: 300_000,
    });
    expect(canaryConfig.parse({ ...config, token: "x".repeat(24) }).slowSeconds).toBe(6);
  });

  test("without a name it takes one front after the other", () => {
    const front = { hosts: ["a", "b"], names: [], port: 8443, fleetAuthority: true };
    const config = json(planPrometheus(context("c"), need({ front })), "canary.json");
    expect(config.endpoints).toEqual(["https://10.0.0.1:8443", "https://10.0.0.2:8443"]);
  });

  test.each([
    ["a wildcard is no URL", ["a", "b"], ["*.example.org"]],
    ["balancers alone may call the hosts, and there is no name", [], []],
  ])("is not there when %s", (_, hosts, names) => {
    const front = { hosts, names, port: 443, fleetAuthority: false };
    const part = planPrometheus(context("c"), need({ front }));
    expect(content(part, "canary.json")).toBe("");
    expect(content(part, "rules.yml")).not.toContain("Canary");
    expect(Object.keys(part.units ?? {})).not.toContain(UNITS.canary);
    expect(jobs(part).has("canary")).toBe(false);
    expect(jobs(part).has("front")).toBe(false);
    const asked = hosts.map((_, i) => [
      `https://fleet.example.org/readyz at 10.0.0.${i + 1}:443`,
      `https://10.0.0.${i + 1}:443/readyz`,
    ]);
    expect(targets(part, "front-of-each-host") ?? []).toEqual(asked);
    if (names.length > 0) {
      expect(json(part, "blackbox.yml").modules.front_by_name.http).toMatchObject({
        headers: { Host: "fleet.example.org" },
        tls_config: { server_name: "fleet.example.org" },
      });
    }
  });

  test("switched off it leaves nothing, not even its rules", () => {
    const part = planPrometheus(context("c"), need({}, { canary: { enabled: false } }));
    expect(content(part, "canary.json")).toBe("");
    expect(content(part, "rules.yml")).not.toContain("Canary");
  });
});

test("on the host that watches, its parts and the exporter's go together", () => {
  const plan = mergeParts([planNodeExporter(context("c")), planPrometheus(context("c"), need())]);
  expect(plan.packages).toContain("prometheus-node-exporter");
  for (const unit of Object.values(UNITS)) expect(plan.units[unit]?.state).toBe("enabled");
  expect(plan.units["prometheus.service"]).toMatchObject({ state: "disabled" });
});

test("metrics have a bound in days and on disk", () => {
  const part = planPrometheus(context("c"), need({}, { metricsDays: 30, metricsGiB: 2 }));
  const unit = part.units?.[UNITS.prometheus]?.content;
  expect(unit).toContain("--storage.tsdb.retention.time=30d");
  expect(unit).toContain("--storage.tsdb.retention.size=1638MB");
});

test("Grafana gets files only, readable by it, and every dashboard", () => {
  const files = Object.entries(
    planPrometheus(context("c"), need({}, { grafana: true })).files ?? {},
  );
  const own = files.filter(([path]) => path.startsWith("/etc/grafana/"));
  expect(own).toHaveLength(2 + 6);
  for (const [, file] of own) expect(file).toMatchObject({ owner: "root", mode: "0644" });
  expect(Object.keys(planPrometheus(context("c"), need()).files ?? {}).join()).not.toContain(
    "grafana",
  );
});

describe("the programs themselves", () => {
  /** The part's files below a folder, with every path in them led there. */
  function laidOut(part: HostPart, use: (lead: (path: string) => string) => void): void {
    const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-watch-"));
    try {
      for (const [path, { content }] of Object.entries(part.files ?? {})) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        const revealed = content.replace(
          /\{\{secret [\w.[\]-]+\}\}/g,
          "https://secret.example.org",
        );
        writeFileSync(join(folder, path), revealed.replaceAll(ETC, join(folder, ETC)));
      }
      use((path) => (path.startsWith(ETC) ? join(folder, path) : path));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  test("take their configurations, by the same commands as on a host", async () => {
    const root = await watchPrograms();
    for (const over of [{}, { front: null, redis: [], etcd: [] }]) {
      const part = planPrometheus(context("c"), need(over));
      laidOut(part, (lead) => {
        for (const name of ["prometheus", "alertmanager", "blackbox"] as const) {
          const [program = "", ...args] = part.units?.[UNITS[name]]?.verify ?? [];
          const led = args.map((arg) => {
            const [flag, path] = arg.split("=") as [string, string?];
            return path === undefined ? lead(flag) : `${flag}=${lead(path)}`;
          });
          execFileSync(unpacked(root, program), led, { stdio: "pipe" });
        }
      });
    }
  }, 300_000);
});
