import * as pulumi from "@pulumi/pulumi";
import { beforeAll, expect, test } from "vitest";
import { deployHosts } from "../../../stacks/hosts/deploy.ts";
import type { StackOutputs } from "../../../stacks/outputs.ts";
import { isSecretName } from "../../../stacks/secrets.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";
import { settled } from "../../support/pulumi-mocks.ts";

interface Made {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}
const made: Made[] = [];
let outputs: StackOutputs;
let refusal: string;
const GIVEN = "ssh-ed25519 AAAAGiven";
const SETTINGS = {
  target: "hosts",
  preset: "small",
  environment: "staging",
  certificates: { authorityStep: 4 },
  hosts: [
    { name: "a", address: "192.0.2.1" },
    { name: "b", address: "192.0.2.2", hostKey: GIVEN },
    { name: "c", address: "192.0.2.3" },
  ],
};
/** What each host shows when it is met. */
const SEEN = "ssh-ed25519 AAAASeen";

beforeAll(async () => {
  await pulumi.runtime.setMocks(
    {
      call: ({ inputs }) => inputs,
      newResource: ({ type, name, inputs, id }) => {
        made.push({ type, name, inputs });
        const more: Record<string, object> = {
          "openclaw:host:Artifact": { hostKey: SEEN },
          "openclaw:host:Credentials": { secrets: {}, caCertificate: "", expires: {} },
          "openclaw:host:Release": { hostKey: SEEN, revision: "1" },
          "pulumi:pulumi:StackReference": {
            outputs: { recorded: { several: true, watching: "b" } },
            secretOutputNames: [],
          },
        };
        return { id: id ?? `${name}-id`, state: { ...inputs, ...more[type] } };
      },
    },
    "openclaw-fleet",
    "vps",
    false,
    "organization",
  );
  const deploy = (more: object) => {
    const settings = settingsSchema.parse({ ...SETTINGS, ...more });
    return deployHosts({ stack: "vps", settings, isSecret: isSecretName });
  };
  const s3 = { bucket: "b", region: "r", accessKeyId: "AKIA", secretAccessKey: "hunter2" };
  refusal = await deploy({ replication: { s3 } }).then(String, String);
  made.length = 0;
  outputs = await deploy({});
  await pulumi.runtime.disconnect();
});

const inputsOf = (type: string, name: string) =>
  made.find((one) => one.type === type && one.name === name)?.inputs ?? {};

test("a host is changed only under the key that its artifact met, or the one that was given", () => {
  const keys = ["a", "b", "c"].map((name) => {
    const { host } = inputsOf("openclaw:host:Release", `host-${name}`);
    return (host as { hostKey: string }).hostKey;
  });
  expect(keys).toEqual([SEEN, GIVEN, SEEN]);
});

test("the fleet is founded, and journals are read, under the same keys", () => {
  const { hosts } = inputsOf("openclaw:host:Fleet", "fleet");
  const each = Object.values(hosts as Record<string, { hostKey: string }>);
  expect(each.map(({ hostKey }) => hostKey)).toEqual([SEEN, GIVEN, SEEN]);
});

test("the step of the authority that every host took is written down", async () => {
  expect(await settled(outputs.authorityStep as never)).toBe(4);
});

test("an artifact meets a host under no key but the one that was given", () => {
  const keys = ["a", "b"].map((name) => {
    const { host } = inputsOf("openclaw:host:Artifact", `release-${name}`);
    return (host as { hostKey?: string }).hostKey;
  });
  expect(keys).toEqual([undefined, GIVEN]);
});

test("a stack that was made with replicas on its hosts takes no bucket for them", async () => {
  expect(refusal).toMatch(
    /puts replicas in bucket b at r, below vps\/, and this stack was made with replicas on the hosts/,
  );
  expect(await settled(outputs.recorded as never)).toMatchObject({ replicas: "on the hosts" });
});

test("the host that watched goes on, and is written down again", async () => {
  const units = ["a", "b", "c"].map((name) => {
    const { plan } = inputsOf("openclaw:host:Release", `host-${name}`) as {
      plan: { units: object };
    };
    return "openclaw-fleet-prometheus.service" in plan.units;
  });
  expect(units).toEqual([false, true, false]);
  expect(await settled(outputs.recorded as never)).toMatchObject({ watching: "b" });
});
