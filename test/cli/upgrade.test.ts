import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { planUpgrade } from "../../cli/lib/upgrade-plan.ts";
import { settingsFile } from "../../cli/pulumi.ts";
import { VERSION_NAMES, VERSIONS } from "../../components/cluster/catalog.ts";
import { Home } from "./fixtures.ts";

const [OLD, MIDDLE, NEW] = VERSION_NAMES as unknown as [
  keyof typeof VERSIONS,
  keyof typeof VERSIONS,
  keyof typeof VERSIONS,
];
const WISH = { written: OLD, running: OLD, os: "al2023", stack: "prod" } as const;

describe("an upgrade", () => {
  test("goes to the next minor: control plane, addons that change, nodes", () => {
    const { from, to, steps } = planUpgrade(WISH);
    expect([from, to]).toEqual([OLD, MIDDLE]);
    const what = steps.map((step) => step.what);
    expect(what[0]).toBe("control plane");
    expect(what.slice(-2).every((step) => /nodes/.test(step))).toBe(true);
    expect(what).toContain("addon kube-proxy");
    expect(what).not.toContain("addon vpc-cni");
    expect(steps.find((step) => step.what === "addon coredns")).toMatchObject({
      from: VERSIONS[OLD].addons.coredns,
      to: VERSIONS[MIDDLE].addons.coredns,
    });
  });

  test.each([
    ["two minors at once", { to: NEW }, /one minor at a time/],
    ["back", { written: MIDDLE, running: MIDDLE, to: OLD }, /never goes back/],
    ["to what nobody knows", { to: "1.99" }, /no version that this project knows/],
    ["while another is not finished", { written: MIDDLE }, /is not finished/],
    ["from what is too old", { written: OLD, running: "1.30", to: undefined }, /not finished/],
  ])("%s is refused", (_, wish, said) => {
    const refused = (() => {
      try {
        return planUpgrade({ ...WISH, ...wish });
      } catch (error) {
        return error as Error & { why?: string };
      }
    })();
    expect(refused).toBeInstanceOf(Error);
    const { message, why } = refused as Error & { why?: string };
    expect(`${message} ${why}`).toMatch(said);
  });

  test("of the newest, or to what runs, has nothing to do", () => {
    const newest = VERSION_NAMES.at(-1) as typeof OLD;
    expect(planUpgrade({ ...WISH, written: newest, running: newest }).steps).toEqual([]);
    expect(planUpgrade({ ...WISH, to: OLD }).steps).toEqual([]);
  });

  test("of Bottlerocket names its own images", () => {
    const { steps } = planUpgrade({ ...WISH, os: "bottlerocket" });
    expect(steps.at(-1)?.to).toMatch(/^bottlerocket@/);
  });
});

describe("./fleet upgrade cluster", () => {
  const STACK = `t-u${process.pid}`;
  const FILE = settingsFile(STACK);
  let home: Home;
  const text = (version: string) => `# Mine.
config:
  openclaw-fleet:target: eks
  openclaw-fleet:aws: { region: eu-central-1, accountId: "210987654321" }
  openclaw-fleet:cluster:
    version: "${version}" # as of spring
    access: private
    admins: [arn:aws:iam::210987654321:role/deploy]
`;
  const upgrade = (...args: string[]) =>
    home.run(["upgrade", "cluster", "--stack", STACK, ...args]);

  beforeAll(() => {
    home = new Home();
    home.stacks({ [STACK]: { target: "eks", recorded: { clusterVersion: OLD } } });
  });
  beforeEach(() => writeFileSync(FILE, text(OLD)));
  afterEach(() => rmSync(FILE, { force: true }));
  afterAll(() => home.remove());

  test("shows the steps, writes one value and says what comes next", async () => {
    const { code, stdout, stderr } = await upgrade();
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain(`Kubernetes ${OLD} → ${MIDDLE}:`);
    expect(stdout).toContain("control plane");
    expect(stderr).toContain(`./fleet up --stack ${STACK}`);
    expect(readFileSync(FILE, "utf8")).toBe(text(MIDDLE));
  });

  test("--dry-run writes nothing, and --json prints one document", async () => {
    const { code, stdout } = await upgrade("--dry-run", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ from: OLD, to: MIDDLE, written: false });
    expect(readFileSync(FILE, "utf8")).toBe(text(OLD));
  });

  test("refuses a skip and writes nothing", async () => {
    const { code, stdout, stderr } = await upgrade("--to", NEW);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("one minor at a time");
    expect(readFileSync(FILE, "utf8")).toBe(text(OLD));
  });

  test.each([
    ["of another target", (before: string) => before.replace("target: eks", "target: ec2"), 1],
    ["that is not ours", (before: string) => `${before}    adopt: { name: theirs }\n`, 1],
  ])("refuses a cluster %s", async (_, change, wanted) => {
    writeFileSync(FILE, change(text(OLD)));
    const { code, stderr } = await upgrade();
    expect(code).toBe(wanted);
    expect(stderr).toMatch(/upgrade/);
  });

  test("anything but a cluster is wrong usage", async () => {
    const { code } = await home.run(["upgrade", "everything", "--stack", STACK]);
    expect(code).toBe(2);
  });
});
