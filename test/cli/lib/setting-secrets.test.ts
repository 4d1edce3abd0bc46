import { expect, test } from "vitest";
import { settingSecrets, unknownHere } from "../../../cli/lib/setting-secrets.ts";
import { pulumiScript } from "../../support/pulumi-script.ts";

/** As `pulumi config --show-secrets --json` prints it. */
const CONFIG = {
  "openclaw-fleet:models": {
    value: '{"providers":{"x":{"apiKey":"provider-key-0123456"}}}',
    objectValue: { providers: { x: { apiKey: "provider-key-0123456" } } },
    secret: true,
  },
  "openclaw-fleet:adminToken": { value: "admin-token-0123456", secret: true },
  "openclaw-fleet:domain": { value: "chat.long.example.com", secret: false },
};

test("keys that Pulumi keeps, and those that are named by a variable, are known by value", () => {
  const runner = pulumiScript(`cat <<'END'\n${JSON.stringify(CONFIG)}\nEND`);
  const agents = [{ name: "support", channels: { telegram: { botToken: "env:BOT_TOKEN" } } }];
  const env = { BOT_TOKEN: "bot-token-0123456789", OTHER: "other-0123456789abc" };
  expect(settingSecrets(runner, "vps", { agents, preset: "env: x" }, env)).toEqual([
    "provider-key-0123456",
    "admin-token-0123456",
    "bot-token-0123456789",
  ]);
});

test("a bundle is not made while nobody knows what must not be in it", () => {
  const runner = pulumiScript("echo 'error: incorrect passphrase' >&2; exit 255");
  expect(() => settingSecrets(runner, "vps", {})).toThrow("secrets of stack vps cannot be read");
});

test("a variable that is not set here is named, since its value cannot be looked for", () => {
  const agents = [
    { channels: { telegram: { botToken: "env:BOT_TOKEN" } }, env: { A: "env:A_KEY" } },
  ];
  const all = { BOT_TOKEN: "bot-token-0123456789", A_KEY: "a-key-0123456789abc" };
  expect(unknownHere({ agents }, all)).toBeNull();
  expect(unknownHere({ preset: "solo" }, {})).toBeNull();
  expect(unknownHere({ agents: [...agents, ...agents] }, { ...all, A_KEY: "" })).toBe(
    "fleet: A_KEY is not set in this shell: what it stands for cannot be recognised in logs, and is not taken out. Set it and run this again",
  );
  expect(unknownHere({ agents }, {})).toContain("BOT_TOKEN, A_KEY are not set in this shell");
});
