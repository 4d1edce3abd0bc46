import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PartlyDone } from "../../plugin/handler.ts";
import { ArtifactHandler, type ArtifactInputs } from "../../plugin/host/artifact.ts";
import { HostReleases } from "../../plugin/host/artifact-host.ts";
import { surveyHost } from "../../plugin/host/preflight-facts.ts";
import type { OpenShell } from "../../plugin/host/shell.ts";
import { openSsh } from "../../plugin/host/ssh.ts";
import type { Props } from "../../plugin/values.ts";
import { packPart } from "../../toolchain/host-part.ts";
import type { HostRelease } from "../../toolchain/host-release.ts";
import { createProgress } from "../../toolchain/progress.ts";
import { entriesOf } from "../../toolchain/tar.ts";
import { TestHosts } from "./support/lab.ts";
import { whyNoHosts } from "./support/programs.ts";

const RELEASES = "/opt/openclaw-fleet/releases";
const MIB = 2 ** 20;

describe.skipIf(whyNoHosts() !== null)("a release on a host", () => {
  let lab: TestHosts;
  let folder: string;
  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: ["a", "b"] });
    folder = mkdtempSync(join(tmpdir(), "artifact-test-"));
  });
  afterAll(async () => {
    await lab?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A small release: a program, a large part that rarely changes, and a runtime with this text. */
  async function release(id: string, text: string): Promise<HostRelease> {
    const files: Record<string, Record<string, string | Buffer>> = {
      bin: { node: "#!/bin/sh\necho node\n" },
      openclaw: { "openclaw.mjs": noise(4 * MIB), "a/b c/d.js": "deep" },
      runtime: { "node.js": text },
    };
    const parts = Object.entries(files).map(async ([name, contents]) => {
      const key = `${createHash("sha256").update(JSON.stringify(contents)).digest("hex")}`;
      const from = join(folder, "files", key);
      for (const [path, content] of Object.entries(contents)) {
        mkdirSync(join(from, path, ".."), { recursive: true });
        writeFileSync(join(from, path), content, { mode: name === "bin" ? 0o755 : 0o644 });
      }
      const options = { progress: createProgress(() => {}), root: join(folder, "cache") };
      return await packPart(name, key, async () => entriesOf(from, name), options);
    });
    const versions = { node: "24", openclaw: "1", etcd: "3" };
    const keys = { bin: "", openclaw: "", runtime: "" };
    return { id, release: id, arch: "x64", versions, keys, parts: await Promise.all(parts) };
  }

  const open: OpenShell = (connection) => openSsh(connection, { configFile: "none" });
  const inputs = (host: string, artifact: string): ArtifactInputs & Props => ({
    host: lab.connection(host, "admin"),
    artifact,
    needs: {
      fleet: "test",
      node: host,
      arch: process.arch === "arm64" ? "arm64" : "x64",
      memoryMiB: 256,
      memoryOf: {},
      dataMiB: 100,
      ports: { "18790": "the router" },
      units: [],
    },
  });
  const operation = (lines: string[] = [], signal = new AbortController().signal) => ({
    signal,
    preview: false,
    programRuns: true,
    say: (line: string) => void lines.push(line),
  });
  const handlerFor = (made: HostRelease, shell = open, env = {}) =>
    new ArtifactHandler({ open: shell, release: async () => made, env });
  const listing = async (host: string) =>
    (await lab.host(host).run(`cd ${RELEASES} && ls -A`)).stdout.split("\n").filter(Boolean);

  test("is put there whole, readable by everybody and owned by root", async () => {
    const made = await release("1-aaa", "one");
    const lines: string[] = [];
    const { id, state } = await handlerFor(made).create(inputs("a", made.id), operation(lines));
    expect(id).toBe("test/a");
    expect(state).toMatchObject({
      condition: "whole",
      hostKey: lab.host("a").hostKey,
      previous: "",
    });
    expect(lines.join("\n")).toMatch(/looking at the host[\s\S]*sending openclaw: \d+ %/);
    const { stdout } = await lab
      .host("a")
      .run(`cd ${RELEASES}/1-aaa && bin/node && cat runtime/node.js && stat -c '%U %a' . bin/node`);
    expect(stdout).toBe("node\none\nroot 755\nroot 755\n".replace("one\n", "one"));
    const { stdout: odd } = await lab.host("a").run(`find ${RELEASES} ! -user root -o -perm /022`);
    expect(odd).toBe("");
    // Nothing of the way there is left.
    expect((await lab.host("a").run("ls -A /opt/openclaw-fleet")).stdout).toBe("releases\n");
    const again = await handlerFor(made).read(id, state, inputs("a", made.id));
    expect(again?.state.condition).toBe("whole");
  });

  test("a later one sends only what changed, and the one before stays", async () => {
    const olds = await release("1-aaa", "one");
    const news = await release("2-bbb", "two");
    const before = await handlerFor(olds).create(inputs("a", olds.id), operation());
    const lines: string[] = [];
    const handler = handlerFor(news);
    const state = await handler.update("x", before.state, inputs("a", news.id), operation(lines));
    expect(lines.filter((line) => line.startsWith("sending")).join()).not.toContain("openclaw");
    expect(state).toMatchObject({ condition: "whole", previous: "1-aaa", artifact: "2-bbb" });
    expect(await listing("a")).toEqual(["1-aaa", "2-bbb"]);
    expect(await lab.host("a").readFile(`${RELEASES}/2-bbb/runtime/node.js`)).toBe("two");
    expect(await lab.host("a").readFile(`${RELEASES}/1-aaa/runtime/node.js`)).toBe("one");
    const third = await release("3-ccc", "three");
    await handlerFor(third).update("x", state, inputs("a", third.id), operation());
    expect(await listing("a")).toEqual(["2-bbb", "3-ccc"]);
  });

  test("one with the OpenClaw that a shard runs stays, the newest of them", async () => {
    const host = lab.host("a");
    const file = "/var/lib/openclaw-fleet/releases/in-use";
    const made = ["9.0.0-1", "9.0.0-2", "9.0.0-3.partial", "8.0.0-1", "9.0.0-4-1"];
    await host.run(`mkdir -p $(dirname ${file}) && printf '9.0.0\\n3\\n' > ${file}`);
    for (const name of made) await host.run(`mkdir -p ${RELEASES}/${name} && sleep 0.01`);
    const shell = open(lab.connection("a"));
    try {
      // Of 3 one is kept anyway.
      const gone = await new HostReleases(shell).prune(["3-ccc", "2-bbb"]);
      expect(gone.sort()).toEqual(made.filter((name) => name !== "9.0.0-2").sort());
      await host.run(`rm ${file}`);
      expect(await new HostReleases(shell).prune(["3-ccc", "2-bbb"])).toEqual(["9.0.0-2"]);
    } finally {
      await shell.close();
    }
  });

  test("one that a unit still names is not removed", async () => {
    const host = lab.host("a");
    const unit = "/etc/systemd/system/old.service";
    await host.run(`mkdir -p ${RELEASES}/0-old/bin ${RELEASES}/0-unused`);
    await host.run(`echo 'ExecStart=${RELEASES}/0-old/bin/node' > ${unit}`);
    const shell = open(lab.connection("a"));
    try {
      expect(await new HostReleases(shell).prune(["3-ccc", "2-bbb"])).toEqual(["0-unused"]);
      await host.run(`rm ${unit}; cp /bin/sleep ${RELEASES}/0-old/bin/node`);
      await host.run(`systemd-run --unit=old-node ${RELEASES}/0-old/bin/node 600`);
      expect(await new HostReleases(shell).prune(["3-ccc", "2-bbb"])).toEqual([]);
      await host.run("systemctl stop old-node");
      expect(await new HostReleases(shell).prune(["3-ccc", "2-bbb"])).toEqual(["0-old"]);
    } finally {
      await shell.close();
    }
  });

  test("what was damaged or removed is seen, and mended by the next update", async () => {
    const made = await release("3-ccc", "three");
    const handler = handlerFor(made);
    const { id, state } = await handler.create(inputs("a", made.id), operation());
    const damages: [string, RegExp][] = [
      [`truncate -s 100 ${RELEASES}/3-ccc/openclaw/openclaw.mjs`, /^openclaw is damaged$/],
      [`rm ${RELEASES}/3-ccc/runtime/node.js`, /^runtime is damaged$/],
      [`echo > ${RELEASES}/3-ccc/bin/extra`, /^bin is damaged$/],
      [`echo >> ${RELEASES}/3-ccc/parts/bin`, /^bin is another one$/],
      [`ln -sf /bin/sh ${RELEASES}/3-ccc/bin/node`, /^bin is damaged$/],
      [`rm -rf ${RELEASES}/3-ccc`, /^missing$/],
    ];
    for (const [damage, words] of damages) {
      await lab.host("a").run(damage);
      const seen = await handler.read(id, state, inputs("a", made.id));
      expect(seen?.state.condition, damage).toMatch(words);
      const diff = handler.diff(seen?.state ?? {}, inputs("a", made.id), inputs("a", made.id));
      expect(diff).toMatchObject({ changes: [{ path: "condition" }], replaces: [] });
      const mended = await handler.update(id, seen?.state ?? {}, inputs("a", made.id), operation());
      expect(mended.condition).toBe("whole");
      expect((await handler.read(id, mended, inputs("a", made.id)))?.state.condition).toBe("whole");
    }
  });

  test("an upload that broke off goes on where it was", async () => {
    const made = await release("4-ddd", noise(8 * MIB, 7).toString("base64"));
    const stop = new AbortController();
    const lines: string[] = [];
    const say = (line: string) => {
      lines.push(line);
      if (/^sending openclaw: [3-9]\d %/.test(line)) stop.abort();
    };
    const op = { ...operation([], stop.signal), say };
    const error = await handlerFor(made)
      .create(inputs("b", made.id), op)
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PartlyDone);
    const { state, message } = error as PartlyDone;
    expect(message).toMatch(/interrupted while sending the release to host b/);
    expect(state).toMatchObject({ condition: "incomplete" });
    const later: string[] = [];
    const done = await handlerFor(made).update("x", state, inputs("b", made.id), operation(later));
    expect(done.condition).toBe("whole");
    const first = later.find((line) => line.startsWith("sending openclaw"));
    expect(Number(/(\d+) %/.exec(first ?? "")?.[1])).toBeGreaterThan(0);
    expect(await listing("b")).toEqual(["4-ddd"]);
  });

  test("an archive that arrives changed is refused and sent anew", async () => {
    const made = await release("5-eee", "five");
    const part = made.parts.find(({ name }) => name === "openclaw");
    const incoming = "/opt/openclaw-fleet/incoming";
    const host = lab.host("b");
    await host.run(`rm -rf /opt/openclaw-fleet && mkdir -p ${incoming}`);
    await host.run(`head -c 1000 /dev/zero > ${incoming}/${part?.sha256}.tar.gz`);
    await expect(handlerFor(made).create(inputs("b", made.id), operation())).rejects.toThrow(
      /host b: openclaw of the release did not arrive as it was sent/,
    );
    const { state } = await handlerFor(made).create(inputs("b", made.id), operation());
    expect(state.condition).toBe("whole");
  });

  test("an unfit host is refused with every fault, and nothing is on it", async () => {
    const host = lab.host("b");
    await host.run("rm -rf /opt/openclaw-fleet; systemctl start nginx");
    const made = await release("6-fff", "six");
    const asked = inputs("b", made.id);
    const needs = { ...asked.needs, memoryMiB: 2 ** 22, ports: { "80": "the front", "22": "x" } };
    const refused = handlerFor(made).create({ ...asked, needs }, operation());
    await expect(refused).rejects.toThrow(/host b is not fit, and nothing was changed on it/);
    await expect(refused).rejects.toThrow(/MiB of memory, and the plan needs 4194304 MiB/);
    await expect(refused).rejects.toThrow(
      /port 80 is wanted by the front, and nginx \(nginx.service\)/,
    );
    await expect(refused).rejects.toThrow(/port 22 is wanted by x, and sshd \(ssh.service\)/);
    await host.run("systemctl stop nginx; test ! -e /opt/openclaw-fleet");
  });

  test("a host says what it is", async () => {
    const shell = open(lab.connection("a", "admin"));
    try {
      const survey = await surveyHost(shell);
      expect(survey).toMatchObject({
        system: "debian",
        systemVersion: "12",
        systemd: 252,
        cgroup2: true,
        fleet: null,
      });
      expect(survey.memoryMiB).toBeGreaterThan(100);
      expect(survey.disks["/var/lib/openclaw-fleet"]?.freeMiB).toBeGreaterThan(0);
      expect(survey.listening).toContainEqual({
        address: "0.0.0.0",
        port: 22,
        program: "sshd",
        unit: "ssh.service",
      });
      // Both are this machine's clock.
      expect(Math.abs(survey.clockAheadSeconds)).toBeLessThanOrEqual(
        survey.clockErrorSeconds + 0.1,
      );
      const late = await surveyHost(shell, { now: () => Date.now() - 60_000 });
      expect(late.clockAheadSeconds - survey.clockAheadSeconds).toBeCloseTo(60, 0);
    } finally {
      await shell.close();
    }
  });

  test("another key than the recorded one is refused, and the host is left alone", async () => {
    const made = await release("7-ggg", "seven");
    const { state } = await handlerFor(made).create(inputs("a", made.id), operation());
    const forged = { ...state, hostKey: lab.host("b").hostKey };
    const next = handlerFor(made).update("x", forged, inputs("a", made.id), operation());
    await expect(next).rejects.toThrow(/host a: .* is not the host that was known/);
    const seen = await handlerFor(made).read("x", forged, inputs("a", made.id));
    expect(seen?.state.condition).toMatch(/is not the host that was known/);
  });

  test("a dead host stops its own step only, and can be forgotten", async () => {
    const made = await release("4-ddd", "four");
    const handler = handlerFor(made);
    const { id, state } = await handler.create(inputs("b", made.id), operation());
    await lab.host("b").powerOff();
    const seen = await handler.read(id, state, inputs("b", made.id));
    expect(seen?.state.condition).toMatch(/host b: .* cannot be reached/);
    await expect(handler.update(id, state, inputs("b", made.id), operation())).rejects.toThrow(
      /host b: .* cannot be reached/,
    );
    await expect(handler.delete(id, state, operation())).rejects.toThrow(
      /Nothing was removed there[\s\S]*OPENCLAW_FLEET_FORGET_HOSTS=b/,
    );
    const lines: string[] = [];
    const forgetting = handlerFor(made, open, { OPENCLAW_FLEET_FORGET_HOSTS: "x,b" });
    await forgetting.delete(id, state, operation(lines));
    expect(lines.join()).toMatch(/forgotten: releases stay on b/);
    await lab.host("b").start();
    await handler.delete(id, state, operation());
    await lab.host("b").run("test ! -e /opt/openclaw-fleet");
  });

  test("a preview calls nobody", async () => {
    const made = await release("1-aaa", "one");
    const handler = handlerFor(made, () => {
      throw new Error("called");
    });
    const op = { ...operation(), preview: true };
    expect((await handler.create(inputs("a", made.id), op)).state.condition).toBe("whole");
    const state = await handler.update("x", inputs("a", "0-old"), inputs("a", made.id), op);
    expect(state.previous).toBe("0-old");
  });
});

/** Bytes that do not get smaller by packing, the same for the same seed. */
function noise(length: number, seed = 1): Buffer {
  const out = Buffer.alloc(length);
  let x = seed;
  for (let i = 0; i + 4 <= length; i += 4) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    out.writeUInt32LE((x ^ (x >>> 13)) >>> 0, i);
  }
  return out;
}
