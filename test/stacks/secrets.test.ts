import { describe, expect, test } from "vitest";
import { sealWith, secretAt } from "../../stacks/secrets.ts";

const none = { secure: [], fromEnv: [], secretSettings: [] };

describe("a value is secret", () => {
  test.each<[string, Parameters<typeof secretAt>[0], PropertyKey[], boolean]>([
    ["by its name", none, ["models", "providers", "p", "apiKey"], true],
    ["as any environment of an agent", none, ["agents", 0, "env", "X"], true],
    [
      "when the file encrypts it",
      { ...none, secure: [["agents", 0, "systemPrompt"]] },
      ["agents", 0, "systemPrompt"],
      true,
    ],
    [
      "when the file encrypts what it stands in",
      { ...none, secure: [["openclaw"]] },
      ["openclaw", "a", "b"],
      true,
    ],
    [
      "when it came from the environment",
      { ...none, fromEnv: [["models", "providers", "p", "x"]] },
      ["models", "providers", "p", "x"],
      true,
    ],
    [
      "when Pulumi knows more than the file",
      { ...none, secretSettings: ["openclaw"] },
      ["openclaw", "a"],
      true,
    ],
    [
      "only where the file says so, when it does",
      { ...none, secretSettings: ["agents"], secure: [["agents", 1, "channels", "t", "x"]] },
      ["agents", 0, "systemPrompt"],
      false,
    ],
    [
      "not as a number of tokens, which models are limited by",
      none,
      ["models", "providers", "p", "models", 0, "maxTokens"],
      false,
    ],
    ["but as tokens of somebody", none, ["openclaw", "hooks", "apiTokens"], true],
    ["not by itself", none, ["agents", 0, "systemPrompt"], false],
  ])("%s", (_, rules, path, secret) => {
    expect(secretAt(rules)(path)).toBe(secret);
  });

  test("sealing wraps leaves and leaves the rest readable", () => {
    const seal = sealWith(secretAt(none), (value) => `[${value}]`);
    const agents = [{ env: { A: "1" }, systemPrompt: "hi", cron: [] }];
    expect(seal(agents, ["agents"])).toEqual([{ env: { A: "[1]" }, systemPrompt: "hi", cron: [] }]);
  });
});
