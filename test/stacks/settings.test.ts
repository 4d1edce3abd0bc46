import { describe, expect, test } from "vitest";
import { ConfigError } from "../../components/errors.ts";
import { isoMoment } from "../../stacks/moment.ts";
import { isSecretName } from "../../stacks/secrets.ts";
import { loadSettings } from "../../stacks/settings.ts";
import { parseStackFile } from "../../stacks/stack-file.ts";

/** Settings as a person writes them, through the same text form that Pulumi hands over. */
function load(settings: Record<string, unknown>, env: Record<string, string> = {}) {
  const config = Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [
      `openclaw-fleet:${key}`,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
  return loadSettings({ config, env });
}

function complaint(settings: Record<string, unknown>, env: Record<string, string> = {}): string {
  try {
    load(settings, env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error("the settings were accepted");
}

const job = (more: object) => ({ name: "n", schedule: "0 9 * * *", message: "m", ...more });

describe("settings", () => {
  test("nothing set is a local stack with the demo model", () => {
    expect(load({}).settings).toMatchObject({
      target: "local",
      models: "demo",
      port: 18789,
      agents: [],
      environment: "dev",
    });
  });

  test("OPENCLAW_PORT is the port of a fleet on this machine whose settings name none", () => {
    const env = { OPENCLAW_PORT: "18999" };
    expect(load({}, env).settings.port).toBe(18_999);
    expect(load({ port: 19_001 }, env).settings.port).toBe(19_001);
    expect(load({ target: "eks" }, env).settings.port).toBe(18_789);
    expect(load({}, { OPENCLAW_PORT: "" }).settings.port).toBe(18_789);
    for (const given of ["0", "65536", "http", "1.5"]) {
      expect(complaint({}, { OPENCLAW_PORT: given })).toContain(
        `openclaw-fleet:port is ${given} by OPENCLAW_PORT, which is no port`,
      );
    }
  });

  test("on hosts the port is that of the fronts, and no router has an address of its own", () => {
    const hosts = { target: "hosts", hosts: [{ name: "a", address: "192.0.2.1" }] };
    expect(load({ ...hosts, port: 8443 }).settings.front.httpsPort).toBe(8_443);
    const same = { ...hosts, port: 8443, front: { httpsPort: 8443, httpPort: 8080 } };
    expect(load(same).settings.front).toMatchObject({ httpsPort: 8_443, httpPort: 8_080 });
    expect(load(hosts).settings.front.httpsPort).toBe(443);
    expect(complaint({ ...same, port: 9443 })).toContain(
      "openclaw-fleet:port is 9443, and front.httpsPort is 8443",
    );
    expect(complaint({ ...hosts, host: "0.0.0.0" })).toContain("openclaw-fleet:host is 0.0.0.0");
  });

  test("text of numbers and booleans becomes numbers and booleans, names stay text", () => {
    const { settings } = load({ nodes: "3", keepData: "true", domain: "123" });
    expect(settings).toMatchObject({ nodes: 3, keepData: true, domain: "123" });
  });

  test.each(["every 10m", "every: 10m", "0 9 * * 1-5"])("the schedule %s is one", (schedule) => {
    const cron = [{ name: "n", schedule, message: "m" }];
    expect(load({ agents: [{ name: "x", cron }] }).settings.agents[0]?.cron[0]).toMatchObject({
      schedule,
      enabled: true,
    });
  });

  test("keys of other namespaces are none of ours", () => {
    expect(loadSettings({ config: { "aws:region": "x" }, env: {} }).settings.target).toBe("local");
  });

  test("what is destroyed after a while keeps nothing", () => {
    const ephemeral = { expires: "2026-12-01T15:00:00Z" };
    expect(load({ environment: "staging", ephemeral }).settings.ephemeral).toEqual(ephemeral);
    expect(complaint({ environment: "prod", ephemeral })).toMatch(
      /openclaw-fleet:ephemeral is set in a stack that keeps what it holds \(environment is prod\)/,
    );
    expect(complaint({ keepData: true, ephemeral })).toContain("keepData is true");
    expect(complaint({ ephemeral: { expires: "tomorrow" } })).toContain("a moment in UTC");
    expect(complaint({ ephemeral: { expires: "2026-13-45T15:00:00Z" } })).toContain("a moment");
    // As Pulumi hands over what stands unquoted in YAML.
    const pulumis = "2026-12-01 15:00:00.5 +0000 UTC";
    expect(load({ ephemeral: { expires: pulumis } }).settings.ephemeral?.expires).toBe(pulumis);
    expect(isoMoment(pulumis)).toBe("2026-12-01T15:00:00.500Z");
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    [
      "a misspelt setting",
      { agnets: [] },
      /openclaw-fleet:agnets is not a setting\. Did you mean openclaw-fleet:agents\?/,
    ],
    [
      "a misspelt field",
      { agents: [{ name: "x", replica: 1 }] },
      /agents\[0\]\.replica is not a setting\. Did you mean openclaw-fleet:agents\[0\]\.replicas\?/,
    ],
    [
      "a misspelt field two levels down",
      {
        agents: [
          { name: "x", cron: [{ name: "n", schedule: "* * * * *", mesage: "m", message: "m" }] },
        ],
      },
      /cron\[0\]\.mesage is not a setting\. Did you mean .*cron\[0\]\.message\?/,
    ],
    [
      "a misspelt field of one form of models",
      { models: { primary: "a/b", falbacks: [] } },
      /models\.falbacks .*Did you mean openclaw-fleet:models\.fallbacks\?/,
    ],
    [
      "a misspelt size",
      { sizes: { shardMemory: 1 } },
      /sizes\.shardMemory .*sizes\.shardMemoryMiB\?/,
    ],
    [
      "a name like nothing known",
      { zzzzzzzzzz: 1 },
      /zzzzzzzzzz is not a setting\. Known here: adopt, agents, aws/,
    ],
    [
      "a misspelt preset",
      { preset: "medum" },
      /preset is medum, which is none of solo, small, medium, enterprise\. Did you mean medium\?/,
    ],
    ["a negative count", { nodes: "-1" }, /nodes is -1, .*at least 1/],
    ["a count in words", { nodes: "two" }, /nodes is two, .*Write: integer/],
    ["a port beyond the last", { port: "70000" }, /port is 70000.*at most 65535/],
    [
      "a bad agent name",
      { agents: [{ name: "Big Bot" }] },
      /agents\[0\]\.name is "Big Bot", .*lower-case/,
    ],
    ["a missing name", { agents: [{}] }, /agents\[0\]\.name is missing/],
    [
      "the same agent twice",
      { agents: [{ name: "x" }, { name: "x" }] },
      /agents\[1\]\.name is x, as is an agent before/,
    ],
    [
      "a model that is no provider/model",
      { agents: [{ name: "x", model: "gpt" }] },
      /model is gpt, .*provider\/model/,
    ],
    [
      "a near miss of a provider",
      { models: { primary: "opnai/m", providers: { openai: {} } } },
      /models\.primary is opnai\/m.*Did you mean openai\/m\?/,
    ],
    ["models of no known form", { models: "dmo" }, /models is dmo/],
    [
      "two jobs of one name",
      { agents: [{ name: "x", cron: [job({}), job({})] }] },
      /agents\[0\]\.cron\[1\]\.name is n, as is a job before/,
    ],
    [
      "an answer to a channel that the agent has not",
      {
        agents: [
          {
            name: "x",
            channels: { slack: {} },
            cron: [job({ deliver: { channel: "telegram", to: "1" } })],
          },
        ],
      },
      /deliver\.channel is telegram, which is no channel of x.*Its channels: slack/s,
    ],
    [
      "a schedule that is none",
      { agents: [{ name: "x", cron: [{ name: "n", schedule: "daily", message: "m" }] }] },
      /schedule is daily.*five-field/,
    ],
  ])("%s", (_, settings, message) => {
    expect(complaint(settings)).toMatch(message);
  });

  test("every fault is in one message", () => {
    const message = complaint({ agnets: 1, nodes: "0", preset: "x", agents: [{ name: "!" }] });
    expect(message.split("\n")).toHaveLength(4);
  });

  test("env:NAME takes a key from the environment and remembers that it is one", () => {
    const models = { primary: "p/m", providers: { p: { apiKey: "env:P_KEY" } } };
    const { settings, fromEnv } = load({ models }, { P_KEY: "sk-1" });
    expect(settings.models).toMatchObject({ providers: { p: { apiKey: "sk-1" } } });
    expect(fromEnv).toEqual([["models", "providers", "p", "apiKey"]]);
  });

  test.each([{}, { P_KEY: "" }])("a missing key is named, %j", (env) => {
    const models = { primary: "p/m", providers: { p: { apiKey: "env:P_KEY" } } };
    expect(complaint({ models }, env as Record<string, string>)).toMatch(
      /models\.providers\.p\.apiKey is env:P_KEY, but the environment has no P_KEY\. Set it/,
    );
  });

  test("raw OpenClaw settings keep OpenClaw's own references", () => {
    expect(load({ openclaw: { a: "env:X" } }).settings.openclaw).toEqual({ a: "env:X" });
  });

  test("a refused secret is not repeated", () => {
    expect(complaint({ tokens: { admin: "hunter2" } })).not.toContain("hunter2");
  });

  test.each([
    [["tokens", "admin"], true],
    [["models", "providers", "p", "apiKey"], true],
    [["agents", 0, "channels", "telegram", "botToken"], true],
    [["agents", 0, "env", "ANY"], true],
    [["agents", 0, "systemPrompt"], false],
    [["models", "providers", "p", "baseUrl"], false],
  ])("%j is a secret by name: %s", (path, secret) => {
    expect(isSecretName(path)).toBe(secret);
  });
});

describe("places in the stack's file", () => {
  const text = [
    "# my stack",
    "config:",
    "  openclaw-fleet:nodes: 0",
    "  openclaw-fleet:agents:",
    "    - name: main",
    "      systemPromt: hi",
    "    - name: other",
    "      env:",
    "        K:",
    "          secure: v1:abc",
    "  openclaw-fleet:agnets: []",
  ].join("\n");
  const file = parseStackFile(text, "Pulumi.dev.yaml");

  test.each([
    [["nodes"], "Pulumi.dev.yaml:3:3"],
    [["agents", 0, "systemPromt"], "Pulumi.dev.yaml:6:7"],
    [["agents", 1, "missing"], "Pulumi.dev.yaml:7:7"],
    [["agnets"], "Pulumi.dev.yaml:11:3"],
    [["port"], undefined],
  ])("%j", (path, place) => {
    expect(file?.place(path)).toBe(place);
  });

  test("stand before each fault", () => {
    const config = {
      "openclaw-fleet:nodes": "0",
      "openclaw-fleet:agnets": "[]",
      "openclaw-fleet:agents": JSON.stringify([{ name: "main", systemPromt: "hi" }]),
    };
    expect(() => loadSettings({ config, file, env: {} })).toThrow(
      /^Pulumi\.dev\.yaml:11:3 {2}openclaw-fleet:agnets is not a setting/m,
    );
    expect(() => loadSettings({ config, file, env: {} })).toThrow(
      /^Pulumi\.dev\.yaml:6:7 {2}openclaw-fleet:agents\[0\]\.systemPromt .*systemPrompt\?/m,
    );
  });

  test("encrypted values are found at every depth", () => {
    expect(file?.secure).toEqual([["agents", 1, "env", "K"]]);
  });

  test("a file that is no YAML has no places", () => {
    expect(parseStackFile("a: [", "x")).toBeUndefined();
  });
});
