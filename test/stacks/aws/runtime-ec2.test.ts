import { describe, expect, test } from "vitest";
import { deployAws } from "../../../stacks/aws/deploy.ts";
import type { AwsStackSettings } from "../../../stacks/aws/plan.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";
import { NOTHING_SECRET } from "../../support/nothing-secret.ts";
import { record, settled } from "../../support/pulumi-mocks.ts";
import { COMPUTED, LOOKUPS } from "./account.ts";

const FLEET_JSON = "/var/lib/openclaw-fleet/fleet.json";
const REFERENCE = "pulumi:pulumi:StackReference";

/** A stack on machines; `recorded` is what its last run wrote down. */
async function deployed(more: object, recorded?: object) {
  const settings = settingsSchema.parse({
    target: "ec2",
    preset: "medium",
    dns: { checkDelegation: false },
    aws: { region: "eu-central-1", accountId: "123456789012" },
    ...more,
  }) as AwsStackSettings;
  const before = recorded ? { outputs: { recorded }, secretOutputNames: [] } : null;
  const { value, resources } = await record(
    () => deployAws({ stack: "team", settings, isSecret: NOTHING_SECRET }),
    {
      lookups: LOOKUPS,
      computed: { ...COMPUTED, ...(before ? { [REFERENCE]: () => before } : {}) },
    },
  );
  const one = (type: string, name: string) => {
    const found = resources.find((each) => each.type === type && each.name === name);
    if (!found) throw new Error(`no ${type} ${name}`);
    return found;
  };
  const put = (node: string) => one("openclaw:host:Release", `host-${node}`);
  const file = (node: string, path: string) =>
    JSON.parse(put(node).inputs.plan.files[path].content);
  return {
    outputs: value,
    resources,
    one,
    put,
    fleet: (node: string) => file(node, FLEET_JSON),
    node: (node: string) => file(node, `/var/lib/openclaw-fleet/nodes/${node}/node.json`),
  };
}

const DOMAIN = { domain: "chat.example.com" };

describe("behind a balancer a fleet on EC2", () => {
  test("listens where the balancer calls, whatever port people are told, and believes it alone", async () => {
    const { fleet, node, one, put } = await deployed({
      ...DOMAIN,
      port: 9_999,
      trustedProxies: ["192.0.2.7"],
    });
    const { host, port, trustedProxies } = fleet("a");
    expect([host, port]).toEqual(["0.0.0.0", 18_789]);
    expect(one("aws:lb/targetGroup:TargetGroup", "team-edge-tg").inputs.port).toBe(port);
    expect(node("a").balanced).toBe(true);
    expect(trustedProxies[0]).toBe("192.0.2.7");
    expect(trustedProxies.slice(1)).toHaveLength(3);
    expect(Object.keys(put("a").inputs.plan.units)).not.toContain("nginx.service");
  });

  test("keeps replicas in the bucket and sessions in the cache, and no password in a plan", async () => {
    const { node, put } = await deployed(DOMAIN);
    const { replication, redisUrl, leases } = node("b");
    expect(replication.target).toEqual({
      kind: "s3",
      bucket: expect.stringContaining("replicas"),
      prefix: "team/",
      region: "eu-central-1",
    });
    expect(leases.kind).toBe("etcd");
    expect(redisUrl).toBe("{{secret setting.redis.url}}");
    const { inputs, secrets } = put("b");
    expect(secrets).toContain("secrets");
    expect(inputs.secrets["setting.redis.url"]).toMatch(/^rediss:\/\/runtime:p+@/);
    expect(JSON.stringify(inputs.plan)).not.toContain("ppppp");
    expect(Object.keys(inputs.plan.units).filter((unit) => /replicas|redis/.test(unit))).toEqual(
      [],
    );
  });

  test("takes somebody's own Redis before the cache", async () => {
    const url = "redis://other.example.com:6379";
    const { put } = await deployed({ ...DOMAIN, redis: { url } });
    expect(put("a").inputs.secrets["setting.redis.url"]).toBe(url);
  });
});

describe("a single machine", () => {
  test("has its own front, a file for leases, and replicas all the same", async () => {
    const { fleet, node, put, outputs, one } = await deployed({ preset: "solo" });
    expect(fleet("a")).toMatchObject({ host: "127.0.0.1", members: ["a"] });
    expect(node("a").leases).toEqual({ kind: "sqlite" });
    expect(node("a").replication.target.kind).toBe("s3");
    expect(Object.keys(put("a").inputs.plan.units)).toContain("nginx.service");
    // The address that people call is one that the certificate is good for.
    expect(one("openclaw:host:Credentials", "credentials").inputs.certificates.a).toContain(
      "203.0.113.9",
    );
    expect(await settled(outputs.endpoint as never)).toBe("https://203.0.113.9");
  });

  test("may say how much its replica sends", async () => {
    const { node } = await deployed({ preset: "solo", replication: { bytesPerSecond: 1_000_000 } });
    expect(node("a").replication.bytesPerSecond).toBe(1_000_000);
  });
});

describe("what the last run wrote down", () => {
  const way = { name: "a", address: "10.64.0.9", session: { instanceId: "i-0a", region: "x" } };

  test("is how a node is drained before its machine changes", async () => {
    const machines = { a: { host: way, artifact: "2026.1+x" } };
    const { one } = await deployed(DOMAIN, { machines });
    const drained = (node: string) => one("openclaw:host:Drained", `drained-${node}`).inputs;
    expect(drained("a")).toMatchObject({ host: way, artifact: "2026.1+x" });
    expect(drained("b")).toMatchObject({ host: null, artifact: "" });
  });

  test("is written down again, with the homes of agents", async () => {
    const { outputs } = await deployed(DOMAIN);
    const recorded = (await settled(outputs.recorded as never)) as Record<string, object>;
    expect(recorded).toMatchObject({
      several: true,
      agents: { main: expect.anything() },
      machines: { e: { host: { name: "e", session: { region: "eu-central-1" } } } },
    });
  });

  test("says which step of the authority every host took", async () => {
    const { outputs } = await deployed({ ...DOMAIN, certificates: { authorityStep: 2 } });
    expect(await settled(outputs.authorityStep as never)).toBe(2);
  });

  test("keeps what watches where its metrics are", async () => {
    const zones = ["euc1-az1", "euc1-az2"];
    const small = { preset: "small", environment: "staging", nodes: 3, ...DOMAIN };
    const aws = { region: "eu-central-1", accountId: "123456789012", zones };
    const watchers = async (recorded?: object) => {
      const { outputs, put } = await deployed({ ...small, aws }, recorded);
      const written = (await settled(outputs.recorded as never)) as { watching?: string };
      const nodes = ["a", "b", "c"].filter(
        (node) => put(node).inputs.plan.units["openclaw-fleet-prometheus.service"],
      );
      return [nodes, written.watching];
    };
    expect(await watchers()).toEqual([["c"], "c"]);
    expect(await watchers({ several: true, watching: "b" })).toEqual([["b"], "b"]);
  });

  test("refuses to go from one machine to several, since ownership does not move by itself", async () => {
    await expect(deployed(DOMAIN, { several: false })).rejects.toThrow(/one host/);
  });
});

test("what cannot be is refused before anything is registered", async () => {
  const wrong = { preset: "solo", front: { certificate: "own" } };
  await expect(deployed(wrong)).rejects.toThrow(/front.certificate is own/);
});
