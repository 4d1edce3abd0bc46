import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { Kubeconfig } from "../../cli/lib/cluster-access.ts";
import { merged, renamed } from "../../cli/lib/kubeconfig-file.ts";
import { Home, KUBECONFIG } from "./fixtures.ts";

let home: Home;
beforeAll(() => {
  home = new Home();
  home.stacks({
    prod: { target: "eks", kubeconfig: JSON.stringify(KUBECONFIG) },
    hosts: { target: "ec2" },
    young: {},
  });
  home.program("aws", "");
});
afterAll(() => home.remove());

const OURS = KUBECONFIG as unknown as Kubeconfig;
const THEIRS = `# mine
apiVersion: v1
kind: Config
current-context: work
clusters:
  - name: work # the other one
    cluster: {server: https://10.0.0.1}
users: []
contexts:
  - name: work
    context: {cluster: work, user: work}
`;

describe("./fleet kubeconfig", () => {
  test("prints how kubectl gets in, without a secret", async () => {
    const { code, stdout } = await home.run(["kubeconfig", "--stack", "prod"]);
    expect(code).toBe(0);
    expect(parse(stdout)).toEqual(KUBECONFIG);
    expect(stdout).not.toMatch(/token:|password|client-key/);
  });

  test("--json prints one document", async () => {
    const { code, stdout } = await home.run(["kubeconfig", "--stack", "prod", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(KUBECONFIG);
  });

  test("--write puts it beside what is there, for its owner alone, and again without a change", async () => {
    const file = join(home.path, "kubeconfig");
    writeFileSync(file, THEIRS, { mode: 0o644 });
    const write = () =>
      home.run(["kubeconfig", "--stack", "prod", "--write"], { KUBECONFIG: file });
    const { code, stdout, stderr } = await write();
    expect({ code, stdout }).toEqual({ code: 0, stdout: `Wrote prod-cluster to ${file}.\n` });
    expect(stderr).toContain("kubectl --context prod-cluster get nodes");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const first = readFileSync(file, "utf8");
    expect(first).toContain("# mine");
    expect(first).toContain("# the other one");
    await write();
    expect(readFileSync(file, "utf8")).toBe(first);
  });

  test.each([
    ["has no cluster", ["--stack", "hosts"], "its target is ec2"],
    ["has none yet", ["--stack", "young"], "./fleet up --stack young"],
    ["does not exist", ["--stack", "nowhere"], "Stack nowhere does not exist"],
  ])("of a stack that %s is refused", async (_, args, said) => {
    const { code, stdout, stderr } = await home.run(["kubeconfig", ...args]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(said);
  });
});

describe("a kubeconfig that is there", () => {
  test("keeps its context: who works elsewhere goes on there", () => {
    const read = parse(merged(THEIRS, OURS, "file"));
    expect(read["current-context"]).toBe("work");
    expect(read.clusters.map(({ name }: { name: string }) => name)).toEqual([
      "work",
      "prod-cluster",
    ]);
  });

  test("that is empty or missing gets our context", () => {
    expect(parse(merged("", OURS, "file"))).toMatchObject({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "prod-cluster",
    });
  });

  test("with another cluster of that name is refused until another name is given", () => {
    const other = structuredClone(OURS);
    (other.clusters[0] as Kubeconfig["clusters"][number]).cluster.server = "https://elsewhere";
    const text = merged("", other, "file");
    expect(() => merged(text, OURS, "file")).toThrow(/another cluster called prod-cluster/);
    const both = parse(merged(text, renamed(OURS, "prod-eu"), "file"));
    expect(both.contexts.map(({ name }: { name: string }) => name)).toEqual([
      "prod-cluster",
      "prod-eu",
    ]);
    expect(both.contexts[1].context).toEqual({ cluster: "prod-eu", user: "prod-eu" });
  });

  test.each(["- a list\n", "a: b: c\n"])("that is none (%j) is left alone", (text) => {
    expect(() => merged(text, OURS, "file")).toThrow(/is no kubeconfig/);
  });
});
