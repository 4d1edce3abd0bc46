import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeProject, type Project, PULUMI } from "./fixtures/project.ts";

const SECRET = "hush-hush-of-the-toy";
const OTHER = "another-secret-of-the-toy";
const STACK = ["--stack", "test"];

/** What Pulumi itself makes of a host: nothing here reaches one, its port is closed. */
describe.skipIf(!PULUMI)("a host in a stack", () => {
  let project: Project;

  beforeAll(async () => {
    project = await makeProject();
    program("one", SECRET);
    expect((await project.pulumi(["stack", "init", "test"])).code).toBe(0);
    const state = join(project.dir, "state.json");
    writeFileSync(state, JSON.stringify(await made()));
    const { code, text } = await project.pulumi(["stack", "import", "--file", state, ...STACK]);
    expect(code, text).toBe(0);
  });
  afterAll(() => project?.remove());

  const inputs = (word: string) => ({
    host: { name: "n1", address: "127.0.0.1", port: 1, user: "root" },
    fleet: "test",
    node: "n1",
    artifact: "r1",
    plan: {
      packages: [],
      users: {},
      directories: {},
      files: {
        "/etc/toy/settings": {
          content: `first line\nword ${word}\npassword {{secret toy}}\n`,
          owner: "root",
          group: "root",
          mode: "0600",
        },
      },
      units: { "toy.service": { content: "[Service]\n", state: "enabled", order: 1 } },
      checks: {},
    },
    apiPort: 0,
    keepData: false,
    protected: false,
  });

  function program(word: string, value: string): void {
    writeFileSync(
      join(project.dir, "stacks/index.ts"),
      `import { HostRelease } from "../plugin/resources.ts";
       new HostRelease("n1", { ...${JSON.stringify(inputs(word))}, secrets: { toy: ${JSON.stringify(value)} } });`,
    );
  }

  /** A stack whose host was made earlier. */
  async function made(): Promise<unknown> {
    const preview = await project.pulumi(["preview", "--json", ...STACK]);
    expect(preview.code, preview.text).toBe(0);
    expect(preview.text).not.toContain(SECRET);
    const { steps } = JSON.parse(preview.stdout) as { steps: { urn: string }[] };
    const urn = (end: string) => steps.find((step) => step.urn.endsWith(end))?.urn as string;
    const exported = await project.pulumi(["stack", "export", ...STACK]);
    const whole = JSON.parse(exported.stdout) as { deployment: Record<string, unknown> };
    const stack = steps.find(({ urn: each }) => each.includes("pulumi:pulumi:Stack"))
      ?.urn as string;
    const provider = urn("::n1").replace(
      /openclaw:host:Release::n1$/,
      "pulumi:providers:openclaw::default",
    );
    const sealed = {
      "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
      plaintext: JSON.stringify({ toy: SECRET }),
    };
    const all = { ...inputs("one"), secrets: sealed };
    const outputs = { ...all, state: "ready", drift: {}, revision: "1", hostKey: "" };
    whole.deployment.resources = [
      { urn: stack, custom: false, type: "pulumi:pulumi:Stack" },
      {
        urn: provider,
        custom: true,
        id: "11111111-1111-4111-8111-111111111111",
        type: "pulumi:providers:openclaw",
        inputs: {},
        outputs: {},
      },
      {
        urn: urn("::n1"),
        custom: true,
        id: "test/n1",
        type: "openclaw:host:Release",
        inputs: all,
        outputs,
        parent: stack,
        provider: `${provider}::11111111-1111-4111-8111-111111111111`,
        additionalSecretOutputs: ["secrets"],
      },
    ];
    return whole;
  }

  test("changes by file are shown as text, those of secrets without a value", async () => {
    program("two", OTHER);
    const { code, text } = await project.pulumi(["preview", "--diff", ...STACK]);
    expect(code, text).toBe(0);
    expect(text).toContain("/etc/toy/settings");
    expect(text).toMatch(/- +word one/);
    expect(text).toMatch(/\+ +word two/);
    expect(text).toContain("[secret]");
    expect(text).not.toContain(SECRET);
    expect(text).not.toContain(OTHER);
  });

  test("a host that does not answer is drift for refresh, an error for up, and destroy names the way out", async () => {
    program("one", SECRET);
    const refresh = await project.pulumi(["refresh", "--yes", "--skip-preview", ...STACK]);
    expect(refresh.code, refresh.text).toBe(0);
    const up = await project.pulumi(["up", "--yes", "--skip-preview", ...STACK]);
    expect(up.code).not.toBe(0);
    expect(up.text).toContain("host n1");
    const destroy = await project.pulumi(["destroy", "--yes", "--skip-preview", ...STACK]);
    expect(destroy.code).not.toBe(0);
    expect(destroy.text).toContain("OPENCLAW_FLEET_FORGET_HOSTS=n1");
    const forget = { OPENCLAW_FLEET_FORGET_HOSTS: "n1" };
    const gone = await project.pulumi(["destroy", "--yes", "--skip-preview", ...STACK], forget);
    expect(gone.code, gone.text).toBe(0);
    for (const { text } of [refresh, up, destroy, gone]) expect(text).not.toContain(SECRET);
  });
});
