import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HOST_PATHS, type HostPlan } from "../../components/host/types.ts";
import { type Operation, PartlyDone } from "../../plugin/handler.ts";
import { callAgent } from "../../plugin/host/agent-call.ts";
import { ReleaseHandler } from "../../plugin/host/release.ts";
import { openSsh } from "../../plugin/host/ssh.ts";
import { type Props, reveal, secret } from "../../plugin/values.ts";
import { bundleRuntime } from "../../toolchain/bundle.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { eventually } from "../support/eventually.ts";
import type { TestHost } from "./support/host.ts";
import { TestHosts } from "./support/lab.ts";
import { contextFor, putRelease } from "./support/node-unit.ts";
import { whyNoHosts } from "./support/programs.ts";
import { LISTING, loop, SECRETS, TOY, toyPlan } from "./support/toy-plan.ts";

/** A loaded machine takes its time over a command. */
const SLOW_MS = 60_000;

describe.skipIf(whyNoHosts() !== null)("a host as its plan says", () => {
  let lab: TestHosts;
  let host: TestHost;
  let before: string;
  /** As a run of Pulumi has it: what failed in one keeps the next from nothing. */
  const deployment = () => new ReleaseHandler({ open: openSsh, env: {} });
  const said: string[] = [];
  const op = (more: Partial<Operation> = {}) => ({
    preview: false,
    signal: new AbortController().signal,
    say: (line: string) => void said.push(line),
    programRuns: true,
    ...more,
  });
  const inputs = (plan: HostPlan, more: Props = {}): Props => {
    const news = {
      host: lab.connection("a"),
      ...{ fleet: "lab", node: "a", artifact: "test", apiPort: 0 },
      ...{ keepData: false, protected: false, plan, secrets: secret(SECRETS), ...more },
    };
    const { inputs: checked, failures } = deployment().check(undefined, news);
    expect(failures).toEqual([]);
    return checked;
  };
  const listing = async () => (await host.run(LISTING)).stdout;
  const failure = async (work: Promise<unknown>): Promise<Error> => {
    const error: unknown = await work.then(
      () => new Error("it worked"),
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).not.toContain(SECRETS["toy.password"]);
    return error as Error;
  };
  const create = async (plan: HostPlan, more: Props = {}) => {
    const news = inputs(plan, more);
    return { news, state: (await deployment().create(news, op())).state };
  };
  const drift = async (state: Props, news: Props) =>
    reveal<Record<string, string>>((await deployment().read("lab/a", state, news))?.state.drift);
  const mainPid = async () =>
    (await host.run(["systemctl", "show", "--value", "-p", "MainPID", TOY.unit])).stdout.trim();
  const runsWith = async () => await host.readFile(`${TOY.data}/read`);

  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: ["a"] });
    host = lab.host("a");
    const { files } = await bundleRuntime(PROJECT_ROOT);
    const agent = files.find(({ name }) => name === "host-agent.js")?.text ?? "";
    await putRelease(host, contextFor(lab.hosts, host), {
      "runtime/host-agent.js": agent,
      "runtime/package.json": '{ "type": "module" }\n',
    });
    await host.run("echo welcome > /etc/motd; chmod 0604 /etc/motd");
  });
  beforeEach(async () => {
    said.length = 0;
    if (!host.running) await host.start();
    // What a failed test left is not the next one's fault.
    const left = { ...inputs(toyPlan()), drift: {} };
    await deployment().delete("lab/a", left, op());
    before = await listing();
  });
  afterAll(async () => {
    await lab?.close();
  });

  test("it is made, is as planned, and goes without a trace", async () => {
    const { news, state } = await create(toyPlan());
    expect(state).toMatchObject({ state: "ready", drift: {}, hostKey: host.hostKey });
    expect(await runsWith()).toBe(`first ${SECRETS["toy.password"]}\n`);
    expect(await host.readFile(TOY.adopted)).toBe("a host of a fleet\n");
    expect(await drift(state, news)).toEqual({});
    const pid = await mainPid();

    const shell = openSsh(lab.connection("a"));
    const plan = toyPlan();
    const again = await callAgent(shell, "test", {
      ...{ verb: "apply", fleet: "lab", node: "a", first: false, api: null, previous: null },
      ...{ plan, secrets: SECRETS },
    });
    await shell.close();
    expect(again.changed).toEqual([]);
    expect(await mainPid()).toBe(pid);

    await deployment().delete("lab/a", state, op());
    expect(await listing()).toBe(before);
    expect(await deployment().read("lab/a", state, news)).toBeNull();
  });

  test("what is changed by hand is seen, shown as a difference, and repaired", async () => {
    const { news, state } = await create(toyPlan());
    await host.run(
      `echo more >> ${TOY.settings}; systemctl disable --now ${TOY.unit}; chmod 0777 ${TOY.data}; ` +
        `rm ${TOY.reloaded}; systemctl start ${TOY.foreign}`,
    );
    const found = await deployment().read("lab/a", state, news);
    expect(reveal(found?.state.drift)).toEqual({
      [`directory ${TOY.data}`]: "has the mode 0777, not 0750",
      [`file ${TOY.settings}`]: "has another content",
      [`file ${TOY.reloaded}`]: "is missing",
      [`unit ${TOY.unit}`]: "is inactive (dead)",
      [`unit ${TOY.foreign}`]: "runs, and should not",
    });
    const drifted = found?.state as Props;
    expect(deployment().diff(drifted, news, news)).toMatchObject({
      changes: [{ path: "drift" }],
      outputOnly: ["drift"],
    });
    const repaired = await deployment().update("lab/a", drifted, news, op());
    expect(await drift(repaired, news)).toEqual({});
    expect(deployment().diff(repaired, news, news).changes).toEqual([]);
    await deployment().delete("lab/a", repaired, op());
    expect(await listing()).toBe(before);
  });

  test("a unit is restarted, reloaded or left alone, by the file that changed", async () => {
    const { state } = await create(toyPlan());
    const pid = await mainPid();
    const plan = toyPlan();
    const reloaded = { ...plan.files[TOY.reloaded], content: "two\n" } as HostPlan["files"][string];
    const second = { ...plan, files: { ...plan.files, [TOY.reloaded]: reloaded } };
    const after = await deployment().update("lab/a", state, inputs(second), op());
    expect(await mainPid()).toBe(pid);
    expect(await host.readFile(`${TOY.data}/reloads`)).toBe("reloaded\n");

    const motd = { ...plan.files[TOY.adopted], content: "other\n" } as HostPlan["files"][string];
    const third = { ...second, files: { ...second.files, [TOY.adopted]: motd } };
    const later = await deployment().update("lab/a", after, inputs(third), op());
    expect([await mainPid(), await host.readFile(TOY.adopted)]).toEqual([pid, "other\n"]);

    // What the plan does not name any more is as it was before any plan.
    const { [TOY.adopted]: _, ...fewer } = third.files;
    const fourth = await deployment().update(
      "lab/a",
      later,
      inputs({ ...third, files: fewer }),
      op(),
    );
    expect([await mainPid(), await host.readFile(TOY.adopted)]).toEqual([pid, "welcome\n"]);
    await deployment().delete("lab/a", fourth, op());
    expect(await listing()).toBe(before);
  });

  test("files that a program refuses go back, and its unit hears nothing", async () => {
    const { news, state } = await create(toyPlan());
    const pid = await mainPid();
    const verify = ["sh", "-c", "echo 'line 3: no such word' >&2; exit 1"];
    const bad = inputs(toyPlan("second", { verify }));
    const error = await failure(deployment().update("lab/a", state, bad, op()));
    expect(error.message).toContain("line 3: no such word");
    expect(error).not.toBeInstanceOf(PartlyDone);
    expect(await mainPid()).toBe(pid);
    expect(await drift(state, news)).toEqual({});
    await deployment().delete("lab/a", state, op());
    expect(await listing()).toBe(before);
  });

  test("a unit that does not stay up: the plan before goes back, and its last words are shown", async () => {
    const { news, state } = await create(toyPlan());
    const content = loop().replace("cp ", `echo broken; cat ${TOY.settings}; exit 3; cp `);
    const error = await failure(
      deployment().update("lab/a", state, inputs(toyPlan("second", { content })), op()),
    );
    expect(error.message).toContain("broken");
    expect(error.message).toContain("second [secret toy.password]");
    expect(error.message).toContain("What was there before is in place again");
    expect(await drift(state, news)).toEqual({});
    await eventually(async () => {
      expect(await runsWith()).toBe(`first ${SECRETS["toy.password"]}\n`);
    });
    await deployment().delete("lab/a", state, op());
    expect(await listing()).toBe(before);
  });

  test("the agent killed while it works: the next run goes on, and all of it can be removed", async () => {
    const mark = "/run/openclaw-toy-is-checked";
    const stops = ["sh", "-c", `touch ${mark}; sleep 600`];
    const check = { argv: stops, deadlineSeconds: 600, remedy: "Wait." };
    const plans: HostPlan[] = [
      toyPlan("first", { verify: stops }),
      { ...toyPlan(), checks: { waits: check } },
    ];
    for (const plan of plans) {
      const work = failure(create(plan));
      await eventually(async () => expect(await host.readFile(mark)).toBe(""), SLOW_MS);
      const { stdout } = await host.run(["pgrep", "-f", "^[^ ]*/bin/node .*/host-agent.js"]);
      await host.run(["kill", "-9", ...stdout.trim().split("\n")]);
      const error = await work;
      expect(error).toBeInstanceOf(PartlyDone);
      await host.run(`rm ${mark}; kill $(pgrep -f '^sleep 600')`);

      const incomplete = (error as PartlyDone).state;
      expect(await drift(incomplete, inputs(plan))).toHaveProperty(["change"]);
      const news = inputs(toyPlan("second"));
      const state = await deployment().update("lab/a", incomplete, news, op());
      expect(await drift(state, news)).toEqual({});
      expect(await runsWith()).toBe(`second ${SECRETS["toy.password"]}\n`);
      await deployment().delete("lab/a", state, op());
      expect(await listing()).toBe(before);
    }
  });

  test("interrupted, the agent ends by itself and lets the next one in", async () => {
    const mark = "/run/openclaw-toy-is-checked";
    const argv = ["sh", "-c", `touch ${mark}; exit 1`];
    const plan = {
      ...toyPlan(),
      checks: { never: { argv, deadlineSeconds: 600, remedy: "Wait." } },
    };
    const stop = new AbortController();
    const news = inputs(plan);
    const work = failure(deployment().create(news, op({ signal: stop.signal })));
    await eventually(async () => expect(await host.readFile(mark)).toBe(""), SLOW_MS);
    stop.abort();
    const error = await work;
    expect(error.message).toContain("interrupted while changing host a");
    const next = inputs(toyPlan());
    const state = await deployment().update("lab/a", (error as PartlyDone).state, next, op());
    expect(await drift(state, next)).toEqual({});
    await deployment().delete("lab/a", state, op());
    await host.run(["rm", mark]);
    expect(await listing()).toBe(before);
  });

  test("a change that was interrupted is in the state, and the plan before it brings everything back", async () => {
    const { news, state } = await create(toyPlan());
    const mark = "/run/openclaw-toy-is-checked";
    const argv = ["sh", "-c", `touch ${mark}; exit 1`];
    const never = { argv, deadlineSeconds: 600, remedy: "Wait." };
    const stop = new AbortController();
    const second = inputs({ ...toyPlan("second"), checks: { never } });
    const work = failure(deployment().update("lab/a", state, second, op({ signal: stop.signal })));
    await eventually(async () => expect(await host.readFile(mark)).toBe(""), SLOW_MS);
    stop.abort();
    const error = await work;
    expect(error).toBeInstanceOf(PartlyDone);
    const partly = (error as PartlyDone).state;
    expect(deployment().diff(partly, news, news).changes).toEqual([
      { path: "drift", kind: "update" },
    ]);
    const back = await deployment().update("lab/a", partly, news, op());
    expect(await drift(back, news)).toEqual({});
    expect(deployment().diff(back, news, news).changes).toEqual([]);
    await eventually(async () => {
      expect(await runsWith()).toBe(`first ${SECRETS["toy.password"]}\n`);
    });
    await deployment().delete("lab/a", back, op());
    await host.run(["rm", mark]);
    expect(await listing()).toBe(before);
  });

  test("data is kept with the user it belongs to, and found again", async () => {
    const { state } = await create(toyPlan(), { keepData: true });
    await host.run(`su -s /bin/sh openclaw-toy -c 'echo precious > ${TOY.data}/note'`);
    await deployment().delete("lab/a", state, op());
    expect(said.at(-1)).toBe(`kept: ${TOY.data}`);
    const left = await listing();
    const more = left.split("\n").filter((line) => !before.includes(line));
    expect(more.filter((line) => line.startsWith("/") && !line.includes("openclaw-"))).toEqual([]);
    expect((await host.run(["stat", "-c", "%U", `${TOY.data}/note`])).stdout).toBe(
      "openclaw-toy\n",
    );

    const again = await create(toyPlan(), { keepData: false });
    expect(await host.readFile(`${TOY.data}/note`)).toBe("precious\n");
    await deployment().delete("lab/a", again.state, op());
    expect(await listing()).toBe(before);
  });

  test("a host that is gone keeps its place in the state, until it is said to be gone for good", async () => {
    const { news, state } = await create(toyPlan());
    await host.powerOff();
    expect((await drift(state, news)).host).toContain("a");
    const error = await failure(deployment().delete("lab/a", state, op()));
    expect(error.message).toContain("OPENCLAW_FLEET_FORGET_HOSTS=a");
    const forgetful = new ReleaseHandler({
      open: openSsh,
      env: { OPENCLAW_FLEET_FORGET_HOSTS: "b, a" },
    });
    await forgetful.delete("lab/a", state, op());
    expect(said.at(-1)).toContain(TOY.unit);
    await host.start();
    // After the power came back all of it runs again, and can be taken away after all.
    await eventually(async () => expect(await drift(state, news)).toEqual({}), SLOW_MS);
    await deployment().delete("lab/a", state, op());
    expect(await listing()).toBe(before);
  });

  test("a package is installed with its services held back, and goes with what it brought", async () => {
    await host.run(makeRepository());
    const packages = ["toy-service"];
    const { news, state } = await create({ ...toyPlan(), packages });
    const status = "systemctl is-active toy-service.service toy-needed.service || :";
    expect((await host.run(status)).stdout).toBe("inactive\ninactive\n");
    expect(await drift(state, news)).toEqual({});
    const held = await host.run("test ! -e /usr/sbin/policy-rc.d && dpkg -l toy-needed | tail -1");
    expect(held.stdout).toMatch(/^ii/);
    await deployment().delete("lab/a", state, op());
    const gone = await host.run("dpkg-query -W 'toy-*' 2>&1 || :");
    expect(gone.stdout).toContain("no packages found");
    expect(await listing()).toBe(before);
  });

  test("another fleet's host is refused, untouched", async () => {
    const { news, state } = await create(toyPlan());
    const error = await failure(create(toyPlan("second"), { fleet: "other" }));
    expect(error.message).toContain("this host carries node a of fleet lab already");
    expect(await drift(state, news)).toEqual({});
    await deployment().delete("lab/a", state, op());
    expect(await listing()).toBe(before);
  });

  test("without its release on the host, refresh says so", async () => {
    const { news, state } = await create(toyPlan());
    const { node, aside } = { node: `${HOST_PATHS.releases}/test`, aside: "/srv/aside" };
    await host.run(["mv", node, aside]);
    expect(await drift(state, news)).toHaveProperty(["release"]);
    await host.run(["mv", aside, node]);
    await deployment().delete("lab/a", state, op());
    expect(await listing()).toBe(before);
  });
});

/** A script that makes a repository of two packages on the host; the first needs the second. */
function makeRepository(): string {
  const control = (name: string, depends: string) =>
    `Package: ${name}\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: Lab <lab@example.net>\\n${depends}Description: for tests\\n`;
  const unit =
    "[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n";
  // As Debian's own packages do: enabled, and started if nothing forbids it.
  const postinst = (name: string) =>
    `#!/bin/sh\\nset -e\\nsystemctl daemon-reload\\ndeb-systemd-helper enable ${name}.service\\ndeb-systemd-invoke start ${name}.service\\n`;
  const postrm = (name: string) =>
    `#!/bin/sh\\ndeb-systemd-helper purge ${name}.service >/dev/null || :\\ndeb-systemd-helper unmask ${name}.service >/dev/null || :\\n`;
  const one = (name: string, depends: string) => `
mkdir -p /srv/build/${name}/DEBIAN /srv/build/${name}/lib/systemd/system
printf '${control(name, depends)}' > /srv/build/${name}/DEBIAN/control
printf '${postinst(name)}' > /srv/build/${name}/DEBIAN/postinst
printf '${postrm(name)}' > /srv/build/${name}/DEBIAN/postrm
chmod 0755 /srv/build/${name}/DEBIAN/postinst /srv/build/${name}/DEBIAN/postrm
printf '${unit}' > /srv/build/${name}/lib/systemd/system/${name}.service
dpkg-deb --build /srv/build/${name} /srv/repo/${name}.deb >/dev/null
{ cat /srv/build/${name}/DEBIAN/control
  echo "Filename: ./${name}.deb"
  echo "Size: $(stat -c %s /srv/repo/${name}.deb)"
  echo "SHA256: $(sha256sum < /srv/repo/${name}.deb | cut -d' ' -f1)"
  echo; } >> /srv/repo/Packages
`;
  return `set -eu
mkdir -p /srv/repo
: > /srv/repo/Packages
${one("toy-needed", "")}${one("toy-service", "Depends: toy-needed\\n")}
echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list
rm -f /etc/apt/sources.list.d/*
apt-get update --quiet
`;
}
