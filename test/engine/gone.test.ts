import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FakeApiServer } from "../plugin/kube/api-server.ts";
import { makeProject, type Project, PULUMI } from "./fixtures/project.ts";

/** That Pulumi's destroy really stops in between, says for what, and goes on where it failed. */
describe.skipIf(!PULUMI)("a wait at destroy", () => {
  const api = new FakeApiServer();
  let project: Project;
  let endpoint: string;

  beforeAll(async () => {
    api.kinds.set("karpenter.sh/v1", { NodeClaim: { plural: "nodeclaims", namespaced: false } });
    endpoint = await api.start();
    project = await makeProject();
    writeFileSync(join(project.dir, "stacks/index.ts"), program());
    expect((await project.pulumi(["stack", "init", "test"])).code).toBe(0);
  });
  afterAll(async () => {
    await api.stop();
    project.remove();
  });

  /** A controller, the wait, and what is waited for. */
  function program(): string {
    const credential = { status: { token: "good" } };
    const print = `console.log(${JSON.stringify(JSON.stringify(credential))})`;
    const inputs = {
      cluster: "prod-cluster",
      endpoint,
      certificateAuthority: api.certificateAuthority,
      token: { command: process.execPath, args: ["-e", print] },
      apiVersion: "karpenter.sh/v1",
      kind: "NodeClaim",
      deadlineSeconds: 2,
    };
    return `
      import * as pulumi from "@pulumi/pulumi";
      import { Gone } from "../plugin/resources.ts";
      const wait = (name, kind, dependsOn) =>
        new Gone(name, { ...${JSON.stringify(inputs)}, kind }, { dependsOn });
      const controller = wait("controller", "Nothing", []);
      const machines = wait("machines", "NodeClaim", [controller]);
      wait("pool", "Nothing", [machines]);
    `;
  }

  async function left(): Promise<string[]> {
    const { stdout } = await project.pulumi(["stack", "export", "--stack", "test"]);
    const { resources = [] } = JSON.parse(stdout).deployment;
    return resources
      .map((r: { urn: string }) => r.urn.split("::").at(-1))
      .filter((name: string) => ["controller", "machines", "pool"].includes(name))
      .sort();
  }

  test("makes nothing at up, asks nobody, and changes nothing at the next", async () => {
    const up = await project.pulumi(["up", "--yes", "--skip-preview", "--stack", "test"]);
    expect(up.code, up.text).toBe(0);
    const again = await project.pulumi([
      "up",
      "--yes",
      "--skip-preview",
      "--expect-no-changes",
      "--stack",
      "test",
    ]);
    expect(again.code, again.text).toBe(0);
    expect(await left()).toEqual(["controller", "machines", "pool"]);
    expect(api.asked).toEqual([]);
  });

  test("stops the destroy at its deadline, before what comes after it, and names what is left", async () => {
    api.objects.set("nodeclaims", [{ name: "gateways-abc" }]);
    const destroy = await project.pulumi(["destroy", "--yes", "--skip-preview", "--stack", "test"]);
    expect(destroy.code).not.toBe(0);
    expect(destroy.text).toContain("prod-cluster still has 1 NodeClaim: gateways-abc");
    expect(await left()).toEqual(["controller", "machines"]);
  });

  test("goes on at the next destroy, when they are gone", async () => {
    api.objects.delete("nodeclaims");
    const destroy = await project.pulumi(["destroy", "--yes", "--skip-preview", "--stack", "test"]);
    expect(destroy.code, destroy.text).toBe(0);
    expect(await left()).toEqual([]);
  });
});
