import { describe, expect, test } from "vitest";
import { secretNames, withSecrets } from "../../../components/host/secrets.ts";
import { hostPlan } from "../../../components/host/shape.ts";
import { fleetConfig, nodeConfig } from "../../../gateway/config.ts";
import { type Gathered, gatherHosts } from "../../../stacks/hosts/input.ts";
import { planHost } from "../../../stacks/hosts/parts.ts";
import { planFleet } from "../../../stacks/presets.ts";
import { isSecretName } from "../../../stacks/secrets.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";

const hostsOf = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: `n${i + 1}`, address: `192.0.2.${i + 1}` }));

const SHAPES = {
  "one host": { preset: "solo", hosts: hostsOf(1) },
  "two and a witness": {
    preset: "small",
    hosts: [...hostsOf(2), { name: "w", address: "192.0.2.9", witness: true }],
  },
  "a front on the witness": {
    preset: "small",
    hosts: [...hostsOf(2), { name: "w", address: "192.0.2.9", witness: true }],
    domain: "chat.example.com",
    front: { hosts: ["w"] },
  },
  "Caddy on the witness too": {
    preset: "small",
    hosts: [...hostsOf(2), { name: "w", address: "192.0.2.9", witness: true }],
    front: { kind: "caddy", hosts: ["n1", "w"] },
  },
  "three, one Redis": { preset: "small", hosts: hostsOf(3) },
  "four, Sentinel": { preset: "medium", hosts: hostsOf(4) },
  "six, Redis Cluster": { preset: "enterprise", hosts: hostsOf(6) },
  "a domain": { preset: "small", hosts: hostsOf(3), domain: "chat.example.com" },
  "two and a witness, and a bucket": {
    preset: "small",
    hosts: [...hostsOf(2), { name: "w", address: "192.0.2.9", witness: true }],
    replication: {
      s3: { bucket: "b", region: "r", accessKeyId: "AKIA", secretAccessKey: "hunter2hunter2" },
    },
  },
  "keys of all kinds": {
    preset: "small",
    hosts: hostsOf(3),
    redis: { url: "rediss://fleet:hunter2hunter2@192.0.2.8" },
    agents: [{ name: "ops", env: { PAGER: "hunter2hunter2" } }],
    models: {
      primary: "x/m",
      providers: { x: { apiKey: "hunter2hunter2", baseUrl: "https://models.example.com" } },
    },
    monitoring: { alerts: { webhook: { url: "https://alerts.example.com/hunter2hunter2" } } },
  },
};

function gather(more: object): Gathered {
  const settings = settingsSchema.parse({ target: "hosts", environment: "staging", ...more });
  const artifacts = Object.fromEntries(
    settings.hosts.map(({ name, arch }) => [name, `2026.9.6-${arch}`]),
  );
  const release = { name: "2026.9.6+r1", artifacts };
  const sizing = planFleet(settings);
  return gatherHosts({ stack: "vps", settings, sizing, release, isSecret: isSecretName });
}

const plansOf = (gathered: Gathered) =>
  gathered.input.plan.hosts.map((host) => ({ host, plan: planHost(gathered.input, host) }));

/** What the stack hands to a host: the settings' secrets, and what is made by name. */
function allSecrets({ secrets, passwords, sshKeys, input }: Gathered): Record<string, string> {
  const made = "x".repeat(43);
  const certificates = Object.keys(input.plan.certificates).map((name) => `tls.${name}`);
  return Object.fromEntries([
    ...["tls.ca", "token.admin", "token.client", "token.client.0", "token.peer"].map((n) => [
      n,
      made,
    ]),
    ...certificates.flatMap((n) => [
      [`${n}.cert`, made],
      [`${n}.key`, made],
    ]),
    ...passwords.map((n) => [n, made]),
    ...sshKeys.flatMap((n) => [
      [`${n}.key`, made],
      [`${n}.pub`, made],
    ]),
    ...Object.entries(secrets),
  ]);
}

describe.each(Object.entries(SHAPES))("%s", (_, settings) => {
  const gathered = gather(settings);
  const plans = plansOf(gathered);
  const secrets = allSecrets(gathered);

  test("parts agree, and what comes out has the shape that a host is given", () => {
    for (const { plan } of plans) expect(hostPlan.parse(plan)).toEqual(plan);
  });

  test("every secret that a plan asks for is one that the stack has", () => {
    for (const { plan } of plans) {
      expect(secretNames(plan).filter((name) => !(name in secrets))).toEqual([]);
    }
  });

  test("no plan holds a secret", () => {
    expect(JSON.stringify(plans)).not.toContain("hunter2");
  });

  test("with the secrets in, nodes read their files; a witness has none", () => {
    for (const { host, plan } of plans) {
      const read = (path: string) => {
        const file = plan.files[path];
        return file && JSON.parse(withSecrets(file, secrets));
      };
      const fleet = read("/var/lib/openclaw-fleet/fleet.json");
      const node = read(`/var/lib/openclaw-fleet/nodes/${host.name}/node.json`);
      expect(fleet === undefined).toBe(host.witness === true);
      if (host.witness) continue;
      expect(() => fleetConfig.parse(fleet)).not.toThrow();
      expect(nodeConfig.parse(node).leases?.kind).toBe(plans.length > 1 ? "etcd" : "sqlite");
    }
  });

  test("what keeps data says so, and every file has a folder that is planned or the system's", () => {
    for (const { plan } of plans) {
      expect(plan.directories["/etc/openclaw-fleet"]?.data ?? false).toBe(false);
      for (const path of Object.keys(plan.files)) {
        const folder = path.slice(0, path.lastIndexOf("/"));
        expect(
          folder in plan.directories || /^\/(etc|usr\/lib)\/[a-z./-]+$/.test(folder),
          path,
        ).toBe(true);
      }
    }
  });

  test("what a host's files and units name in the fleet's own folders, some part of the same host brings", () => {
    for (const { host, plan } of plans) {
      const brought = new Set([...Object.keys(plan.files), ...Object.keys(plan.directories)]);
      const texts = [...Object.values(plan.files), ...Object.values(plan.units)];
      const named = JSON.stringify(texts).match(/\/etc\/openclaw-fleet\/[\w./-]*[\w]/g) ?? [];
      expect(
        named.filter((path) => !brought.has(path)),
        host.name,
      ).toEqual([]);
    }
  });
});

describe("what the settings say of", () => {
  const nodeOf = (more: object) => {
    const [{ plan } = { plan: { files: {}, units: {} } as never }] = plansOf(
      gather({ preset: "small", hosts: hostsOf(3), ...more }),
    );
    const path = "/var/lib/openclaw-fleet/nodes/n1/node.json";
    return { plan, node: JSON.parse(plan.files[path]?.content ?? "{}") };
  };

  test("replicas stands in node.json, and nothing of it when nothing is said", () => {
    const keep = { minutesForHours: 2, hoursForDays: 7, daysForDays: 90 };
    const said = nodeOf({ replication: { bytesPerSecond: 1_000_000, keep } }).node.replication;
    expect(said).toMatchObject({ bytesPerSecond: 1_000_000, keep });
    expect(Object.keys(nodeOf({}).node.replication)).toEqual(["target"]);
    const partly = nodeOf({ replication: { keep: { daysForDays: 7 } } }).node.replication;
    expect(partly.keep).toEqual({ minutesForHours: 1, hoursForDays: 1, daysForDays: 7 });
  });

  test("a bucket takes the place of the hosts' own folders, and its key is in a file of the node's user alone", () => {
    const s3 = {
      bucket: "replicas",
      region: "eu-central-1",
      endpoint: "https://s3.example.com",
      accessKeyId: "AKIA",
      secretAccessKey: "hunter2hunter2",
    };
    const said = { hosts: hostsOf(3), replication: { s3, bytesPerSecond: 1_000_000 } };
    const { plan, node } = nodeOf(said);
    const credentialsFile = "/etc/openclaw-fleet/replicas/bucket.json";
    expect(node.replication).toEqual({
      target: {
        kind: "s3",
        bucket: "replicas",
        region: "eu-central-1",
        endpoint: "https://s3.example.com",
        prefix: "vps/",
        credentialsFile,
      },
      bytesPerSecond: 1_000_000,
    });
    expect(plan.files[credentialsFile]).toMatchObject({ owner: "openclaw", mode: "0600" });
    expect(JSON.stringify(plan)).not.toContain("hunter2");
    const gathered = gather({ preset: "small", ...said });
    const written = withSecrets(plan.files[credentialsFile] as never, allSecrets(gathered));
    expect(JSON.parse(written)).toEqual({ accessKeyId: "AKIA", secretAccessKey: "hunter2hunter2" });
    expect(Object.keys(plan.units)).not.toContain("openclaw-fleet-replicas.service");
    expect(gathered.sshKeys).toEqual([]);
    const alone = nodeOf({ preset: "solo", hosts: hostsOf(1), replication: { s3 } });
    expect(alone.node.replication.target.kind).toBe("s3");
  });

  test("where nodes are found in DNS stands in node.json, and their names there in certificates", () => {
    const dns = { discovery: { dns: "nodes.example.com" } };
    expect(nodeOf(dns).node.discovery).toEqual({ kind: "dns", name: "nodes.example.com" });
    expect(nodeOf({}).node.discovery).toBeUndefined();
    const certified = (more: object) =>
      gather({ preset: "small", hosts: hostsOf(3), ...more }).input.plan.certificates;
    for (const name of ["n1", "n2", "n3"]) {
      expect(certified(dns)[name]).toContain(`${name}.nodes.example.com`);
      expect(certified({})[name]).not.toContain(`${name}.nodes.example.com`);
    }
  });

  test("memory stands in the units of the node and of Redis", () => {
    const { units, files } = nodeOf({
      redis: { memoryMiB: 512 },
      sizes: { nodeMemoryMaxMiB: 9_000 },
    }).plan;
    expect(units["openclaw-fleet-node.service"]?.content).toContain("MemoryMax=9000M\n");
    expect(units["openclaw-fleet-redis.service"]?.content).toContain("MemoryMax=1152M\n");
    expect(JSON.stringify(files)).toContain("maxmemory 512mb");
    expect(nodeOf({}).plan.units["openclaw-fleet-node.service"]?.content).not.toContain(
      "MemoryMax=",
    );
  });
});

test("a limit of memory below what is planned for a node is refused", () => {
  const limited = (nodeMemoryMaxMiB: number) => () =>
    gather({ preset: "small", hosts: hostsOf(3), sizes: { nodeMemoryMaxMiB } });
  const { memoryMiBPerNode } = gather({ preset: "small", hosts: hostsOf(3) }).input.sizing.loss;
  expect(limited(memoryMiBPerNode)).not.toThrow();
  expect(limited(memoryMiBPerNode - 1)).toThrow(/sizes\.nodeMemoryMaxMiB is \d+, and a node holds/);
});

test("a host taken away changes nothing of the others' but what names it", () => {
  const four = plansOf(gather({ preset: "medium", hosts: hostsOf(4) }));
  const three = plansOf(gather({ preset: "medium", hosts: hostsOf(3) }));
  const changed = Object.keys(three[0]?.plan.files ?? {}).filter(
    (path) => three[0]?.plan.files[path]?.content !== four[0]?.plan.files[path]?.content,
  );
  // The way to the gone host: the front's upstreams, replicas, and the count of nodes.
  expect(changed.filter((path) => /redis|sentinel|etcd|tls/.test(path))).toEqual([]);
});

test("hosts with two processors: each has its own release's paths, and all show one version", () => {
  const hosts = hostsOf(6).map((host, i) => ({ ...host, arch: i % 2 === 0 ? "arm64" : "x64" }));
  for (const front of ["nginx", "caddy"]) {
    const made = plansOf(gather({ preset: "enterprise", hosts, front: { kind: front } }));
    const releases = made.map(({ plan }) => {
      const folders = JSON.stringify(plan).match(/(?<=\/releases\/)[\w.-]+/g) ?? [];
      return [...new Set(folders)];
    });
    expect(releases).toEqual(hosts.map(({ arch }) => [`2026.9.6-${arch}`]));
    const shown = made.map(({ host, plan }) => {
      const file = plan.files[`/var/lib/openclaw-fleet/nodes/${host.name}/node.json`];
      return nodeConfig.parse(JSON.parse(file?.content ?? "")).release.id;
    });
    expect(new Set(shown)).toEqual(new Set(["2026.9.6+r1"]));
  }
});
