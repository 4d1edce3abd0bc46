import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LANGUAGE_HOST_MAIN, LANGUAGE_HOST_VARIABLE } from "../../toolchain/language-host.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

const pulumi = process.env.OPENCLAW_FLEET_PULUMI ?? "";
const hostFolder =
  process.env.OPENCLAW_FLEET_LANGUAGE_HOST ??
  join(PROJECT_ROOT, "toolchain", "language-host", "bin");

let project: string;

/** A program of one component and two outputs, one of them from a secret setting. */
const PROGRAM = `
import * as pulumi from "@pulumi/pulumi";
const config = new pulumi.Config();
class Thing extends pulumi.ComponentResource {
  constructor(name: string) {
    super("trial:index:Thing", name);
    this.registerOutputs({ name });
  }
}
new Thing(config.require("name"));
if (config.get("fail") === "throw") throw new Error("the program threw this");
if (config.get("fail") === "exit") process.exit(7);
export const greeting = pulumi.interpolate\`hello \${config.require("name")}\`;
export const hidden = config.requireSecret("hidden");
`;

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "fleet-language-host-"));
  mkdirSync(join(project, "state"));
  symlinkSync(join(PROJECT_ROOT, "node_modules"), join(project, "node_modules"));
  write("package.json", '{ "type": "module", "dependencies": { "@pulumi/pulumi": "*" } }');
  write("index.ts", PROGRAM);
  write(
    "Pulumi.yaml",
    "name: trial\nruntime:\n  name: nodejs\n  options:\n    typescript: false\nmain: index.ts\n",
  );
  expectSuccess(run("stack", "init", "one"));
  expectSuccess(run("config", "set", "name", "world", "--stack", "one"));
  expectSuccess(run("config", "set", "--secret", "hidden", "not-for-all", "--stack", "one"));
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

test("a program runs unbuilt: up, output, destroy", () => {
  const up = expectSuccess(run("up", "--yes", "--stack", "one"));
  expect(up.stdout).toContain("trial:index:Thing");
  const outputs = JSON.parse(
    expectSuccess(run("stack", "output", "--json", "--stack", "one")).stdout,
  );
  expect(outputs).toEqual({ greeting: "hello world", hidden: "[secret]" });
  expectSuccess(run("destroy", "--yes", "--stack", "one"));
  const left = JSON.parse(expectSuccess(run("stack", "export", "--stack", "one")).stdout);
  expect(left.deployment.resources ?? []).toHaveLength(0);
});

test("a secret setting stays encrypted in the state", () => {
  expectSuccess(run("up", "--yes", "--stack", "one"));
  const exported = expectSuccess(run("stack", "export", "--stack", "one")).stdout;
  expect(exported).toContain("ciphertext");
  expect(exported).not.toContain("not-for-all");
});

test("what a program throws is shown, and nothing is deleted", () => {
  const failed = run("up", "--yes", "--stack", "one", "--config", "trial:fail=throw");
  expect(failed.status).not.toBe(0);
  expect(failed.stdout + failed.stderr).toContain("the program threw this");
  const after = JSON.parse(expectSuccess(run("stack", "export", "--stack", "one")).stdout);
  expect(
    after.deployment.resources.some(({ type }: { type: string }) => type === "trial:index:Thing"),
  ).toBe(true);
  expectSuccess(run("config", "rm", "fail", "--stack", "one"));
});

test("a program that exits by itself is a failure with its exit code", () => {
  const failed = run("preview", "--stack", "one", "--config", "trial:fail=exit");
  expect(failed.status).not.toBe(0);
  expect(failed.stdout + failed.stderr).toContain("exit code 7");
  run("config", "rm", "fail", "--stack", "one");
});

test("a policy pack runs and can refuse", () => {
  const pack = join(project, "pack");
  mkdirSync(pack);
  symlinkSync(join(PROJECT_ROOT, "node_modules"), join(pack, "node_modules"));
  writeFileSync(
    join(pack, "PulumiPolicy.yaml"),
    "runtime: nodejs\nversion: 1.0.0\nmain: index.js\n",
  );
  writeFileSync(join(pack, "package.json"), '{ "name": "pack", "version": "1.0.0" }');
  writeFileSync(join(pack, "index.js"), POLICY);
  const refused = run("preview", "--stack", "one", "--policy-pack", pack);
  expect(refused.stdout + refused.stderr).toContain("no worlds here");
  expect(refused.status).not.toBe(0);
});

/**
 * A pack without the policy SDK: the engine's analyzer protocol, served by hand, refusing everything
 * named world. It prints its port as the SDK's packs do.
 */
const POLICY = `
const grpc = require("@grpc/grpc-js");
const { AnalyzerService } = require("@pulumi/pulumi/proto/analyzer_grpc_pb.js");
const m = require("@pulumi/pulumi/proto/analyzer_pb.js");
const { PluginInfo } = require("@pulumi/pulumi/proto/plugin_pb.js");
const { Empty } = require("google-protobuf/google/protobuf/empty_pb.js");
const answer = (make) => (call, done) => done(null, make(call.request));
const policy = () => {
  const p = new m.PolicyInfo();
  p.setName("no-worlds");
  p.setDescription("nothing may be called world");
  p.setEnforcementlevel(m.EnforcementLevel.MANDATORY);
  return p;
};
const server = new grpc.Server();
server.addService(AnalyzerService, {
  getAnalyzerInfo: answer(() => {
    const info = new m.AnalyzerInfo();
    info.setName("pack");
    info.setVersion("1.0.0");
    info.setPoliciesList([policy()]);
    return info;
  }),
  getPluginInfo: answer(() => new PluginInfo()),
  configure: answer(() => new Empty()),
  handshake: answer(() => new m.AnalyzerHandshakeResponse()),
  configureStack: answer(() => new m.AnalyzerStackConfigureResponse()),
  analyze: answer((request) => {
    const response = new m.AnalyzeResponse();
    if (request.getName() !== "world") return response;
    const found = new m.AnalyzeDiagnostic();
    found.setPolicyname("no-worlds");
    found.setPolicypackname("pack");
    found.setPolicypackversion("1.0.0");
    found.setMessage("no worlds here");
    found.setEnforcementlevel(m.EnforcementLevel.MANDATORY);
    found.setUrn(request.getUrn());
    response.setDiagnosticsList([found]);
    return response;
  }),
  analyzeStack: answer(() => new m.AnalyzeResponse()),
  remediate: answer(() => new m.RemediateResponse()),
});
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (e, port) => console.log(port));
`;

function write(name: string, text: string): void {
  writeFileSync(join(project, name), text);
}

function run(...args: string[]) {
  return spawnSync(pulumi, [...args, "--non-interactive", "--color", "never"], {
    cwd: project,
    encoding: "utf8",
    timeout: 120_000,
    env: {
      HOME: project,
      OPENCLAW_FLEET_NODE: process.execPath,
      [LANGUAGE_HOST_VARIABLE]: LANGUAGE_HOST_MAIN,
      PATH: [dirname(process.execPath), hostFolder, process.env.PATH].join(delimiter),
      PULUMI_BACKEND_URL: `file://${join(project, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "for this test",
      PULUMI_HOME: join(project, "home"),
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    },
  });
}

function expectSuccess(result: ReturnType<typeof run>) {
  expect(result.status, `${result.stdout}\n${result.stderr}\n${result.error ?? ""}`).toBe(0);
  return result;
}
