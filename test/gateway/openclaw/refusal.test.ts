import { expect, test } from "vitest";
import { type FleetConfig, fleetConfig } from "../../../gateway/config.ts";
import type { JsonObject } from "../../../gateway/openclaw/json.ts";
import type { ConfigCheck } from "../../../gateway/openclaw/launch.ts";
import { refusalOf } from "../../../gateway/openclaw/refusal.ts";

const token = "t".repeat(43);
const agent = (name: string, shards: string[]) => ({ name, shards, homeShard: shards[0] });

function fleet(openclaw: object = {}, more: object = {}): FleetConfig {
  return fleetConfig.parse({
    ...{ version: 1, fleet: "prod", target: "hosts", preset: "small", port: 18_789 },
    shards: ["s1", "s2", "s3"].map((id) => ({ id, agents: ["main"], recycleMiB: 2_560 })),
    agents: [agent("main", ["s1", "s2", "s3"])],
    models: "demo",
    openclaw,
    tokens: { client: [token], admin: token, peer: token },
    ...more,
  });
}

/** Asks a stand-in that refuses any `nonsense`; what it was asked about. */
async function ask(config: FleetConfig, taken: FleetConfig | null = null, complaint?: string) {
  const asked: JsonObject[] = [];
  const check = async (shape: JsonObject): Promise<ConfigCheck> => {
    asked.push(shape);
    if (!JSON.stringify(shape).includes("nonsense")) return { ok: true };
    return { ok: false, message: complaint ?? 'gateway: Unrecognized key: "nonsense"' };
  };
  return { said: await refusalOf(config, { check, parallel: 0, taken }), asked: asked.length };
}

test("what is refused is told in OpenClaw's words, by the stack's setting, once for shards that are alike", async () => {
  const bad = fleet({ gateway: { nonsense: 1 } });
  expect(await ask(bad)).toEqual({
    said:
      'OpenClaw refuses these settings: gateway: Unrecognized key: "nonsense" (s1, s2, s3). ' +
      "Mend openclaw-fleet:openclaw.gateway",
    // The home of the agent has its jobs.
    asked: 2,
  });
});

test.each([
  [{ nonsense: 1 }, '<root>: Unrecognized key: "nonsense"', "openclaw-fleet:openclaw.nonsense"],
  [{ agents: { nonsense: 1 } }, "agents.defaults.x: no", "openclaw-fleet:openclaw.agents"],
  [{ cron: { nonsense: 1 } }, "channels.telegram: no", "channels` in openclaw-fleet:agents"],
  [{ cron: { nonsense: 1 } }, "it failed", "openclaw-fleet:openclaw, openclaw-fleet:models or"],
])("%j with %s is mended in %s", async (openclaw, complaint, setting) => {
  expect((await ask(fleet(openclaw), null, complaint)).said).toContain(setting);
});

test("what OpenClaw reads as before is not asked about again, nor is what is the fleet's own", async () => {
  const good = fleet({ cron: { skipMissedJobs: true } });
  const prompted = fleet(good.openclaw, {
    agents: [{ ...agent("main", ["s1", "s2", "s3"]), systemPrompt: "Be short." }],
  });
  expect(await ask(good)).toEqual({ said: null, asked: 2 });
  expect(await ask(prompted, good)).toEqual({ said: null, asked: 0 });
  expect((await ask(fleet({ gateway: { nonsense: 1 } }), good)).said).toContain("nonsense");
  expect(await ask(fleet())).toEqual({ said: null, asked: 0 });
  // Somebody broke it by hand.
  const broken = { ...good, agents: [] };
  expect(await ask(good, broken)).toEqual({ said: null, asked: 2 });
});

test("what cannot be written at all is told without OpenClaw", async () => {
  const env = (X: string) => ({ env: { X } });
  const torn = fleet(
    {},
    {
      shards: [{ id: "s1", agents: ["a", "b"], recycleMiB: 2_560 }],
      agents: [
        { ...agent("a", ["s1"]), ...env("1") },
        { ...agent("b", ["s1"]), ...env("2") },
      ],
    },
  );
  expect(await refusalOf(torn, { check: null, parallel: 1 })).toMatch(/agents a and b on shard s1/);
});
