import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PULUMI } from "../fixtures/project.ts";
import { Pipeline } from "./cli.ts";
import { Kms } from "./kms.ts";

describe.skipIf(!PULUMI)("a stack whose secrets a KMS key encrypts", { timeout: 600_000 }, () => {
  let pipeline: Pipeline;
  let kms: Kms;
  let stack: string;
  const pulumi = (...args: string[]) => pipeline.run(["pulumi", ...args, "--non-interactive"]);

  beforeAll(async () => {
    pipeline = new Pipeline();
    kms = new Kms();
    await kms.start();
    // No passphrase anywhere: the role is enough.
    pipeline.env = { ...kms.env, PULUMI_CONFIG_PASSPHRASE: undefined };
    stack = pipeline.name();
    const init = ["init", "--stack", stack, "--target", "local", "--models", "demo", "--yes"];
    await pipeline.ok([...init, "--secrets-provider", kms.provider]);
  });
  afterAll(() => {
    kms.stop();
    pipeline.remove();
  });

  test("is looked at without a passphrase and without the key before it is there", async () => {
    await pipeline.ok(["preview", "--stack", stack]);
    expect(kms.calls).toEqual([]);
  });

  test("is made with it, and keeps no passphrase's salt", async () => {
    // As `up` makes it, which would go on to start the fleet.
    const made = await pulumi("stack", "init", stack, "--secrets-provider", kms.provider);
    expect([made.code, made.stderr]).toEqual([0, expect.anything()]);
    const text = readFileSync(pipeline.file(stack), "utf8");
    expect(text).toContain(`secretsprovider: ${kms.provider}`);
    expect(text).toMatch(/^encryptedkey: \S+$/m);
    expect(text).not.toContain("encryptionsalt");
    expect(kms.calls).toContain("Encrypt");
  });

  test("opens its secrets with the key, and with nothing else", async () => {
    const at = ["--stack", stack];
    const set = await pulumi("config", "set", "--secret", "probe", "behind the key", ...at);
    expect([set.code, set.stderr]).toEqual([0, expect.anything()]);
    const kept = readFileSync(pipeline.file(stack), "utf8");
    expect(kept).not.toContain("behind the key");
    expect((await pulumi("config", "get", "probe", ...at)).stdout).toContain("behind the key");
    kms.denied = true;
    const closed = await pulumi("config", "get", "probe", ...at);
    expect(closed.code).toBe(1);
    expect(closed.stdout).not.toContain("behind the key");
  });
});
