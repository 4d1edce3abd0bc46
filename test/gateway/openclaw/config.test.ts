import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type FleetConfig, fleetConfig } from "../../../gateway/config.ts";
import { agentFiles, agentsEnv, gatewayConfig } from "../../../gateway/openclaw/config.ts";
import { mergeDeep } from "../../../gateway/openclaw/json.ts";

type Input = Parameters<typeof fleetConfig.parse>[0];
type AgentInput = { name: string; shards: string[]; homeShard: string; [field: string]: unknown };

function fleet(agents: AgentInput[], more: Record<string, unknown> = {}): FleetConfig {
  const shards = ["s1", "s2", "s3"].map((id) => ({
    id,
    agents: agents.filter((agent) => agent.shards.includes(id)).map((agent) => agent.name),
    recycleMiB: 2_000,
  }));
  return fleetConfig.parse({
    version: 1,
    fleet: "test",
    target: "local",
    preset: "small",
    port: 18_789,
    shards,
    agents,
    models: "demo",
    tokens: { client: ["c".repeat(24)], admin: "a".repeat(24), peer: "p".repeat(24) },
    ...more,
  } as Input);
}

const MAIN: AgentInput = { name: "main", shards: ["s1", "s2"], homeShard: "s1" };
const BOB: AgentInput = { name: "bob", shards: ["s1"], homeShard: "s1" };

// biome-ignore lint/suspicious/noExplicitAny: openclaw.json is read here as the person sees it.
function render(config: FleetConfig, shard = "s1"): any {
  return gatewayConfig({
    fleet: config,
    shard,
    stateDir: `/data/${shard}`,
    modelBaseUrl: "http://127.0.0.1:1/v1",
  });
}

describe("openclaw.json", () => {
  test("binds to loopback with a token, whatever the raw settings say", () => {
    const raw = {
      gateway: { bind: "lan", port: 1, auth: { mode: "none", token: "x" }, mode: "remote" },
    };
    const { gateway, secrets } = render(fleet([MAIN], { openclaw: raw }));
    expect(gateway).toMatchObject({ bind: "loopback", mode: "local" });
    expect(gateway.auth.mode).toBe("token");
    expect(gateway.auth.token).toEqual({ source: "file", provider: "openclaw-fleet", id: "value" });
    expect(secrets.providers["openclaw-fleet"].path).toBe("/data/s1/tmp/gateway-token");
    // It would be neither the port in use nor the same after the next start.
    expect(gateway).not.toHaveProperty("port");
  });

  test("people's own secret providers stand beside ours", () => {
    const providers = {
      vault: { source: "exec", command: "/bin/vault" },
      "openclaw-fleet": { path: "/tmp/theirs" },
    };
    const { secrets } = render(fleet([MAIN], { openclaw: { secrets: { providers } } }));
    expect(secrets.providers.vault).toEqual(providers.vault);
    expect(secrets.providers["openclaw-fleet"].path).toBe("/data/s1/tmp/gateway-token");
  });

  test("the demo model is a provider of the node's own address", () => {
    const { agents, models } = render(fleet([MAIN]));
    expect(agents.defaults.model.primary).toBe("demo/echo");
    expect(models.providers.demo.baseUrl).toBe("http://127.0.0.1:1/v1");
    expect(models.providers.demo.models[0].id).toBe("echo");
  });

  test("real providers pass through, and no demo model is left", () => {
    const providers = { anthropic: { apiKey: "k", baseUrl: "https://x" } };
    const models = { primary: "anthropic/big", fallbacks: ["anthropic/small"], providers };
    const config = render(fleet([{ ...MAIN, model: "anthropic/own" }], { models }));
    expect(config.models.providers).toEqual(providers);
    expect(config.agents.defaults.model).toEqual({
      primary: "anthropic/big",
      fallbacks: ["anthropic/small"],
    });
    expect(config.agents.entries.main.model).toBe("anthropic/own");
  });

  test("channels, heartbeat and cron are on the home shard only", () => {
    const config = fleet([{ ...MAIN, channels: { telegram: { botToken: "1:a" } } }]);
    const home = render(config, "s1");
    const other = render(config, "s2");
    expect(home.channels.telegram.accounts).toEqual({ main: { botToken: "1:a" } });
    expect(home.bindings).toEqual([
      { agentId: "main", match: { channel: "telegram", accountId: "main" } },
    ]);
    expect(home.cron.enabled).toBe(true);
    expect(home.agents.entries.main.heartbeat).toEqual({});
    expect(other.channels).toEqual({});
    expect(other.bindings).toEqual([]);
    expect(other.cron.enabled).toBe(false);
    expect(other.agents.entries.main.heartbeat).toEqual({ every: "0m" });
    expect(JSON.stringify(other)).not.toContain("1:a");
  });

  test("two agents with one channel are two accounts, and the first keeps its own", () => {
    const one = { ...MAIN, channels: { telegram: { botToken: "1:a" } } };
    const two = { ...BOB, channels: { telegram: { botToken: "2:b" } } };
    const alone = render(fleet([one, BOB])).channels.telegram;
    const both = render(fleet([one, two]));
    expect(both.channels.telegram.accounts.main).toEqual(alone.accounts.main);
    expect(both.channels.telegram.accounts.bob).toEqual({ botToken: "2:b" });
    expect(both.channels.telegram.defaultAccount).toBe("main");
    expect(both.bindings.map((b: { match: { accountId: string } }) => b.match.accountId)).toEqual([
      "main",
      "bob",
    ]);
  });

  test("accounts that a person named stay as they are; one name cannot serve two agents", () => {
    const accounts = (name: string) => ({ telegram: { accounts: { [name]: { botToken: name } } } });
    const config = fleet([
      { ...MAIN, channels: accounts("x") },
      { ...BOB, channels: accounts("y") },
    ]);
    expect(Object.keys(render(config).channels.telegram.accounts)).toEqual(["x", "y"]);
    const twice = fleet([
      { ...MAIN, channels: accounts("x") },
      { ...BOB, channels: accounts("x") },
    ]);
    expect(() => render(twice)).toThrow("agents main and bob both name an account x of telegram");
  });

  test("a channel that knows no accounts takes one agent a shard", () => {
    const teams = { msteams: { appId: "a" } };
    expect(render(fleet([{ ...MAIN, channels: teams }])).channels.msteams).toEqual({ appId: "a" });
    const both = fleet([
      { ...MAIN, channels: teams },
      { ...BOB, channels: teams },
    ]);
    expect(() => render(both)).toThrow("give one of them `placement: dedicated`");
  });

  test("raw channel settings reach only shards where the channel has a bot", () => {
    const openclaw = {
      channels: { telegram: { dmPolicy: "open" }, defaults: { groupPolicy: "open" } },
    };
    const config = fleet([{ ...MAIN, channels: { telegram: { botToken: "1:a" } } }], { openclaw });
    expect(render(config, "s1").channels.telegram).toMatchObject({
      dmPolicy: "open",
      accounts: { main: { botToken: "1:a" } },
    });
    expect(render(config, "s2").channels).toEqual({ defaults: { groupPolicy: "open" } });
  });

  test("raw settings win over ours, deeply", () => {
    const openclaw = { agents: { defaults: { maxConcurrent: 3 } }, logging: { level: "debug" } };
    const config = render(fleet([MAIN], { openclaw }));
    expect(config.agents.defaults.maxConcurrent).toBe(3);
    expect(config.agents.defaults.skipBootstrap).toBe(true);
    expect(config.logging).toMatchObject({ level: "debug", consoleStyle: "json" });
  });

  test("a shard that fleet.json does not have is a fault", () => {
    expect(() => render(fleet([MAIN]), "s9")).toThrow("shard s9 is not in fleet.json");
  });

  test("the same settings give the same text, and another shard's change none here", () => {
    const agent = fc.record({
      model: fc.option(fc.constantFrom("demo/echo", "x/y"), { nil: undefined }),
      systemPrompt: fc.option(fc.string(), { nil: undefined }),
      channels: fc.dictionary(
        fc.constantFrom("telegram", "discord", "slack"),
        fc.record({ botToken: fc.string() }),
      ),
    });
    fc.assert(
      fc.property(agent, agent, agent, (one, two, changed) => {
        const here = { ...MAIN, ...one };
        const there = { name: "bob", shards: ["s3"], homeShard: "s3" };
        const before = fleet([here, { ...there, ...two }]);
        const after = fleet([structuredClone(here), { ...there, ...changed }]);
        for (const shard of ["s1", "s2"]) {
          expect(JSON.stringify(render(after, shard))).toBe(JSON.stringify(render(before, shard)));
          expect(agentFiles(after, shard, "/d")).toEqual(agentFiles(before, shard, "/d"));
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("what goes with it", () => {
  test("an agent's prompt is its AGENTS.md; without one a file of ours is to go", () => {
    const files = agentFiles(fleet([{ ...MAIN, systemPrompt: "Be brief." }, BOB]), "s1", "/d");
    expect(files[0]?.path).toBe("/d/workspaces/main/AGENTS.md");
    expect(files[0]?.content).toContain("Be brief.");
    expect(files[1]).toEqual({ path: "/d/workspaces/bob/AGENTS.md", content: null });
  });

  test("agents of a shard share one environment, and must agree on it", () => {
    const agents = (value: string) => [
      { ...MAIN, env: { A: "1", B: "x" } },
      { ...BOB, env: { B: value, C: "3" } },
    ];
    expect(agentsEnv(fleet(agents("x")), "s1")).toEqual({ A: "1", B: "x", C: "3" });
    expect(() => agentsEnv(fleet(agents("y")), "s1")).toThrow(
      "agents main and bob on shard s1 set env.B",
    );
  });

  test("merging replaces arrays and keeps what it is given unchanged", () => {
    const base = { a: { b: [1], c: 1 }, d: 1 };
    expect(mergeDeep(base, { a: { b: [2] }, d: { e: 1 } })).toEqual({
      a: { b: [2], c: 1 },
      d: { e: 1 },
    });
    expect(base).toEqual({ a: { b: [1], c: 1 }, d: 1 });
  });
});
