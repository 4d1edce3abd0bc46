import { describe, expect, test } from "vitest";
import { driftMarkdown, driftOf, driftText, hasDrifted } from "../../../cli/lib/pipeline/drift.ts";
import { stagedSettings } from "../../../cli/lib/pipeline/staged.ts";
import { readPreview } from "../../../cli/lib/pipeline/steps.ts";
import { settingsOf } from "../../../cli/lib/stack-settings.ts";

const expires = "2026-12-01T15:00:00.000Z";
const BASE = `# Sample: nobody's.
encryptionsalt: v1:abc
config:
  openclaw-fleet:target: ec2 # machines
  openclaw-fleet:environment: staging
  openclaw-fleet:keepData: true
  openclaw-fleet:domain: staging.chat.example.com
  openclaw-fleet:aws:
    region: eu-central-1
    accountId: "123456789012"
  openclaw-fleet:models:
    primary: anthropic/claude
    providers:
      anthropic:
        apiKey:
          secure: v1:xyz
`;

describe("the settings of a stack for a while", () => {
  test("are another's but for name, environment and end; comments and secrets stay", () => {
    const text = stagedSettings(BASE, "Pulumi.staging.yaml", {
      stack: "pr-12",
      expires,
      preset: "solo",
    });
    const settings = settingsOf(text, "Pulumi.pr-12.yaml");
    expect(settings).toMatchObject({
      environment: "staging",
      domain: "pr-12.staging.chat.example.com",
      dns: { zoneName: "chat.example.com" },
      ephemeral: { expires },
      keepData: false,
      preset: "solo",
    });
    expect(text).toContain("# machines");
    expect(text).toContain("encryptionsalt: v1:abc");
    expect(text).toContain("secure: v1:xyz");
    expect(text).not.toContain("Sample");
  });

  test("keep the zone that the other stack names", () => {
    const base = BASE.replace(
      "config:",
      "config:\n  openclaw-fleet:dns:\n    zoneName: example.com",
    );
    const text = stagedSettings(base, "Pulumi.staging.yaml", { stack: "pr-12", expires });
    expect(settingsOf(text, "x").dns.zoneName).toBe("example.com");
  });

  test("are taken from a file with next to nothing in it", () => {
    const base = "config:\n  openclaw-fleet:models: demo\n";
    const text = stagedSettings(base, "Pulumi.dev.yaml", { stack: "pr-1", expires, port: 18_999 });
    expect(settingsOf(text, "x")).toMatchObject({ port: 18_999, ephemeral: { expires } });
  });

  test("are never prod's", () => {
    const prod = BASE.replace("environment: staging", "environment: prod");
    expect(() => stagedSettings(prod, "Pulumi.prod.yaml", { stack: "pr-1", expires })).toThrow(
      "Pulumi.prod.yaml is of environment prod",
    );
  });
});

describe("drift", () => {
  const urn = (name: string) =>
    `urn:pulumi:prod::openclaw-fleet::aws:ec2/securityGroup:SecurityGroup::${name}`;
  const drift = (steps: object[]) => driftOf("prod", readPreview(JSON.stringify({ steps })));
  const root = { op: "update", urn: "urn:pulumi:prod::openclaw-fleet::pulumi:pulumi:Stack::x" };

  test("is not what a refresh always says of the stack itself", () => {
    const none = drift([root, { op: "refresh", urn: urn("a") }]);
    expect(hasDrifted(none)).toBe(false);
    expect(driftText(none)).toBe("prod: as it was made (1 resources looked at)");
  });

  test("is what changed and what is gone, by name, with what to do", () => {
    const found = drift([
      root,
      { op: "refresh", urn: urn("a") },
      {
        op: "update",
        urn: urn("b"),
        detailedDiff: { "ingress[0].cidrBlocks": { kind: "update" } },
      },
      { op: "delete", urn: urn("c") },
    ]);
    expect(driftText(found)).toContain("prod: DRIFTED: 1 changed, 1 gone, of 3");
    const text = driftMarkdown(found);
    expect(text).toContain("- `aws:ec2/securityGroup:SecurityGroup` **b**: `ingress`");
    expect(text.indexOf("**Gone**")).toBeLessThan(text.indexOf("**Changed**"));
    expect(text).toContain("./fleet up --stack prod --refresh");
  });
});
