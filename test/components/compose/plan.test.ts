import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { composeNeed } from "../../../cli/lib/compose-config.ts";
import { writeFolder, writeSecrets } from "../../../cli/lib/compose-folder.ts";
import { settingsOf } from "../../../cli/lib/stack-settings.ts";
import { planCompose } from "../../../components/compose/plan.ts";
import { fleetConfig, nodeConfig } from "../../../gateway/config.ts";
import { fill } from "../../../gateway/container/fill.ts";
import { secretAt } from "../../../stacks/secrets.ts";
import { type ContainerLint, containerLint } from "../../support/container-lint.ts";

const YAML = `config:
  openclaw-fleet:shards: 2
  openclaw-fleet:models:
    primary: openai/gpt
    providers: { openai: { baseUrl: "https://models.example.org/v1", apiKey: env:COMPOSE_TEST_KEY } }
  openclaw-fleet:agents:
    - { name: helper, env: { TOOL_TOKEN: "abc" } }
`;
const SEALED = "x".repeat(24);

function input(text = YAML) {
  const settings = settingsOf(text, "Pulumi.box.yaml", { lenient: true });
  const isSecret = secretAt({ secure: [], fromEnv: [], secretSettings: [] });
  return composeNeed("box", { settings, isSecret, isSealed: (value) => value === SEALED });
}

const plan = (text?: string) =>
  planCompose({
    ...input(text).need,
    releaseId: "2026.9.6-abc+1",
    archives: ["bin.tar.gz", "openclaw.tar.gz", "runtime.tar.gz"],
  });

const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-compose-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("no file holds a secret: marks stand where they come", () => {
  const { files, secrets } = plan();
  expect(secrets).toEqual([
    "setting.agents-0-.env.TOOL_TOKEN",
    "setting.models.providers.openai.apiKey",
    "token.admin",
    "token.client",
    "token.peer",
  ]);
  for (const content of Object.values(files)) {
    expect(content).not.toContain('abc"');
    expect(content).not.toContain(SEALED);
  }
});

test("with the secrets put in, the runtime takes both files", () => {
  const { files, secrets } = plan();
  for (const name of secrets)
    writeFileSync(join(folder, name), `value of "${name}", long enough\n`);
  const fleet = fleetConfig.parse(JSON.parse(fill(files["config/fleet.json"] ?? "", folder)));
  expect(fleet.tokens.admin).toBe('value of "token.admin", long enough');
  expect(fleet).toMatchObject({ target: "local", host: "0.0.0.0", fleet: "box" });
  const node = nodeConfig.parse(JSON.parse(files["config/node.json"] ?? ""));
  expect(node.release.openclaw).toMatch(/^\/opt\/openclaw-fleet\/release\//);
});

test("secrets that are missing or empty are all named", () => {
  writeFileSync(join(folder, "empty"), "\n");
  expect(() => fill('"{{secret empty}} {{secret absent}}"', folder)).toThrow(
    /no secret absent, empty: put each/,
  );
});

test("what is known is written, tokens are made, the rest is left to a person; a second time changes none", () => {
  const out = join(folder, "out");
  const { secrets } = plan();
  const write = () =>
    writeSecrets(out, secrets, {
      values: input().known,
      random: (name) => name.startsWith("token."),
    });
  expect(write()).toEqual({
    made: ["token.admin", "token.client", "token.peer"],
    given: ["setting.agents-0-.env.TOOL_TOKEN"],
    missing: ["setting.models.providers.openai.apiKey"],
  });
  const before = secrets.map((name) => readFileSync(join(out, "secrets", name), "utf8"));
  expect(before[2]).toMatch(/^[\w-]{43}$/);
  expect(write().made).toEqual([]);
  expect(secrets.map((name) => readFileSync(join(out, "secrets", name), "utf8"))).toEqual(before);
  // Others of this machine do not get past the folder.
  expect(statSync(join(out, "secrets")).mode & 0o777).toBe(0o700);
});

test("a preset for several nodes becomes one node that holds all shards", () => {
  const { need } = input("config:\n  openclaw-fleet:shards: 4\n");
  expect(need.config.shards).toHaveLength(4);
  expect(need.limitMiB).toBeGreaterThan(4 * 2560);
  expect(need.memoryMiB).toBeLessThan(need.limitMiB);
});

describe("as Docker reads it", () => {
  let lint: ContainerLint | null = null;
  beforeAll(async () => {
    lint = await containerLint();
    writeFolder(folder, plan(), {});
    // Compose looks whether they are there.
    writeSecrets(folder, plan().secrets, { values: {}, random: () => true });
  }, 600_000);

  test("Compose takes the file, and what it stands for is as planned", (context) => {
    if (lint === null) return context.skip("no Go to build Compose's loader with");
    const { services, secrets, volumes } = lint.compose(join(folder, "compose.yaml"));
    expect(services.fleet).toMatchObject({
      init: true,
      read_only: true,
      restart: "unless-stopped",
      stop_grace_period: "5m30s",
      user: "10001:10001",
      cap_drop: ["ALL"],
      ports: [{ host_ip: "127.0.0.1", published: "18789", target: 18789 }],
      healthcheck: { start_period: "3m0s" },
    });
    expect(Number(services.fleet.mem_limit)).toBe((input().need.limitMiB + 256) * 2 ** 20);
    expect(Object.keys(secrets).sort()).toEqual([...plan().secrets]);
    expect(Object.keys(volumes)).toEqual(["data"]);
  });

  test("address and port are .env's to change", (context) => {
    if (lint === null) return context.skip("no Go to build Compose's loader with");
    const env = { FLEET_BIND: "0.0.0.0", FLEET_PORT: "8080" };
    const { services } = lint.compose(join(folder, "compose.yaml"), env);
    expect(services.fleet.ports).toMatchObject([{ host_ip: "0.0.0.0", published: "8080" }]);
  });

  test("the Dockerfile passes the checks of docker build, and runs nothing as root", (context) => {
    if (lint === null) return context.skip("no Go to build BuildKit's parser with");
    const { warnings, from, stages } = lint.dockerfile(join(folder, "Dockerfile"));
    expect(warnings).toEqual([]);
    expect(from).toEqual(["debian:12-slim"]);
    const names = stages[0]?.map(({ name }) => name) ?? [];
    expect(names.indexOf("USER")).toBeGreaterThan(names.lastIndexOf("ADD"));
    expect(names.indexOf("USER")).toBeLessThan(names.indexOf("CMD"));
  });

  test("a file that Compose refuses is refused here", (context) => {
    if (lint === null) return context.skip("no Go to build Compose's loader with");
    const wrong = join(folder, "wrong.yaml");
    writeFileSync(wrong, "name: x\nservices: { a: { image: b, restrat: always } }\n");
    expect(() => lint?.compose(wrong)).toThrow(/restrat/);
  });
});
