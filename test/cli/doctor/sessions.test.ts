import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sessionChecks } from "../../../cli/doctor/sessions.ts";
import { sessionsMissing } from "../../../cli/lib/host-sessions.ts";

/** Samples of this project: target ec2, and others. */
const ON_EC2 = "staging";
const ELSEWHERE = ["prod", "vps", "nowhere"];

let bin: string;
beforeAll(() => {
  bin = mkdtempSync(join(tmpdir(), "fleet-sessions-"));
});
afterAll(() => rmSync(bin, { recursive: true, force: true }));

function install(name: string): void {
  writeFileSync(join(bin, name), "#!/bin/sh\n");
  chmodSync(join(bin, name), 0o755);
}

describe("the way to hosts on EC2", () => {
  test("is wrong without its programs, all of which are named with where they are had", () => {
    install("aws");
    const [check] = sessionChecks(ON_EC2, { PATH: bin });
    expect(check).toMatchObject({ id: "sessions", state: "fail" });
    expect(check?.text).toContain("not on PATH: session-manager-plugin;");
    expect(check?.fix).toContain("install-plugin.html");
    expect(sessionsMissing(ON_EC2, { PATH: "" })?.text).toContain("aws, session-manager-plugin");
  });

  test("is well with them, and names the rights that nobody can look up", () => {
    install("aws");
    install("session-manager-plugin");
    const [check] = sessionChecks(ON_EC2, { PATH: bin });
    expect(check).toMatchObject({ state: "ok" });
    expect(check?.text).toContain(join(bin, "session-manager-plugin"));
    expect(check?.why).toContain("ec2-instance-connect:SendSSHPublicKey");
    expect(check?.why).toContain("ssm:StartSession");
    expect(sessionsMissing(ON_EC2, { PATH: bin })).toBeNull();
  });

  test.each(ELSEWHERE)("is no question of %s", (stack) => {
    expect(sessionChecks(stack, { PATH: "" })).toEqual([]);
    expect(sessionsMissing(stack, { PATH: "" })).toBeNull();
  });
});
