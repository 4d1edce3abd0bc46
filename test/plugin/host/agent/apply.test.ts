import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostPlan } from "../../../../components/host/types.ts";
import { ApplyFailed, apply } from "../../../../plugin/host/agent/apply.ts";
import { observe } from "../../../../plugin/host/agent/observe.ts";
import type { ApplyRequest, NodeApiAccess } from "../../../../plugin/host/agent/protocol.ts";
import { remove } from "../../../../plugin/host/agent/take-away.ts";
import { FakeHost, Killed } from "./fake-host.ts";
import { FakeNode } from "./fake-node.ts";

const SECRETS = { password: "hush-hush" };
const WHO = { fleet: "f", node: "a" };

function plan(word = "one"): HostPlan {
  const own = { owner: "toy", group: "toy" };
  return {
    packages: ["front"],
    users: { toy: { home: "/var/lib/toy" } },
    directories: {
      "/var/lib/toy": { ...own, mode: "0750", data: true },
      "/etc/toy": { ...own, mode: "0750" },
    },
    files: {
      "/etc/toy/settings": { content: `${word} {{secret password}}\n`, ...own, mode: "0640" },
      "/etc/toy/live": { content: `${word}\n`, ...own, mode: "0640" },
      "/etc/issue": { content: "ours\n", owner: "root", group: "root", mode: "0644" },
    },
    units: {
      "front.service": { state: "disabled", order: 1 },
      "store.service": { content: "[Service]\nstore\n", state: "enabled", order: 10 },
      "toy.service": {
        content: "[Service]\ntoy\n",
        state: "enabled",
        order: 20,
        restartOn: ["/etc/toy/settings"],
        reloadOn: ["/etc/toy/live"],
        verify: ["verify", "toy"],
      },
    },
    checks: {
      here: { argv: ["check", "here"], deadlineSeconds: 0.01, remedy: "Mend it." },
      all: { argv: ["check", "all"], deadlineSeconds: 0.01, remedy: "Mend all.", needsFleet: true },
    },
  };
}

let host: FakeHost;
let before: unknown;
const fresh = () => {
  const made = new FakeHost();
  made.mirror.set("front", { unit: "front.service", needs: ["lib"] });
  made.mirror.set("lib", { needs: [] });
  writeFileSync(made.path("/etc/issue"), "theirs\n", { mode: 0o604 });
  return made;
};
beforeEach(() => {
  host = fresh();
  before = host.listing();
});
afterEach(() => host.remove());

const make = (more: Partial<ApplyRequest> = {}, on = host) =>
  apply(
    {
      ...{ verb: "apply", ...WHO, plan: plan(), secrets: SECRETS },
      ...{ first: true, previous: null, api: null, ...more },
    },
    on,
  );
const change = (next: HostPlan, more: Partial<ApplyRequest> = {}) =>
  make({ plan: next, first: false, previous: { plan: plan(), secrets: SECRETS }, ...more });
const takeAway = (keepData = false, on = host) =>
  remove({ verb: "remove", ...WHO, keepData, drain: false, api: null }, on);
const differences = async (on = host, wanted = plan()) =>
  (await observe({ verb: "observe", ...WHO, plan: wanted, secrets: SECRETS }, on)).differences;
const failureOf = async (work: Promise<unknown>) => {
  const error: unknown = await work.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ApplyFailed);
  return error as ApplyFailed;
};
/** Commands that changed something. */
const told = () =>
  host.commands.filter((c) => /^systemctl (start|restart|reload|stop|disable|enable)/.test(c));

describe("a host", () => {
  test("is made in order, observed as planned, left alone by a second run, and taken away whole", async () => {
    await make();
    expect(told()).toEqual([
      "systemctl disable front.service",
      "systemctl enable store.service",
      "systemctl start store.service",
      "systemctl enable toy.service",
      "systemctl start toy.service",
    ]);
    expect(host.read("/etc/toy/settings")).toBe("one hush-hush\n");
    expect(host.read("/var/lib/openclaw-fleet-host/record.json")).not.toContain("hush");
    expect(await differences()).toEqual({});
    const made = host.listing();
    host.commands.length = 0;
    expect(await make({ first: false })).toEqual({ changed: [] });
    expect([host.listing(), told()]).toEqual([made, []]);
    await takeAway();
    expect(host.listing()).toEqual(before);
  });

  test("tells each unit what its files ask for, and no other", async () => {
    await make();
    const next = plan("two");
    for (const [path, wanted] of [
      ["/etc/toy/settings", ["systemctl restart toy.service"]],
      ["/etc/toy/live", ["systemctl reload toy.service"]],
      ["/etc/issue", []],
    ] as const) {
      host.commands.length = 0;
      const file = { ...(next.files[path] as HostPlan["files"][string]), content: `new ${path}` };
      await change({ ...plan(), files: { ...plan().files, [path]: file } });
      expect(told()).toEqual(wanted);
      await change(plan());
    }
  });

  test("is told of other secrets as of other files", async () => {
    await make();
    host.commands.length = 0;
    await change(plan(), { secrets: { password: "another one" } });
    expect(host.read("/etc/toy/settings")).toBe("one another one\n");
    expect(told()).toEqual(["systemctl restart toy.service"]);
  });

  test("gets old files back when its program refuses the new ones", async () => {
    await make();
    const made = host.listing();
    host.commands.length = 0;
    host.answers = ([program]) =>
      program === "verify"
        ? { code: 1, stdout: "", stderr: "no such word" }
        : { code: 0, stdout: "", stderr: "" };
    const error = await failureOf(change(plan("two")));
    expect(error.message).toContain("no such word");
    expect(error.restored).toBe(true);
    expect([told(), host.listing()]).toEqual([[], made]);
  });

  test("never sees a file whose own command refuses it, and no unit is told", async () => {
    const asking = (word?: string): HostPlan => {
      const made = plan(word);
      const file = made.files["/etc/toy/settings"] as HostPlan["files"][string];
      const verify = ["ask", "settings"];
      return { ...made, files: { ...made.files, "/etc/toy/settings": { ...file, verify } } };
    };
    const asked: string[] = [];
    host.answers = ([program], stdin = "") => {
      if (program !== "ask") return { code: 0, stdout: "", stderr: "" };
      asked.push(`${stdin.trim()}, there: ${host.read("/etc/toy/settings")?.trim()}`);
      return { code: stdin.startsWith("two") ? 1 : 0, stdout: "", stderr: "no such word" };
    };
    // The first of its kind is asked about as well.
    const first = await failureOf(make({ plan: asking("two") }));
    expect(first.message).toContain("no such word");
    expect(host.read("/etc/toy/settings")).toBeNull();
    await make({ plan: asking() });
    const made = host.listing();
    host.commands.length = 0;
    const previous = { plan: asking(), secrets: SECRETS };
    const error = await failureOf(change(asking("two"), { previous }));
    expect(error.message).toContain("no such word");
    expect(error.restored).toBe(true);
    expect([told(), host.listing()]).toEqual([[], made]);
    expect(asked).toEqual([
      "two hush-hush, there: undefined",
      "one hush-hush, there: undefined",
      "two hush-hush, there: one hush-hush",
    ]);
    expect(host.commands.join()).not.toContain("hush");
    await change(asking(), { previous });
    expect(asked).toHaveLength(3);
  });

  test("goes back to what was there before without asking about it", async () => {
    const files = Object.fromEntries(
      Object.entries(plan().files).map(([path, file]) => [path, { ...file, verify: ["ask"] }]),
    );
    const previous = { plan: { ...plan(), files }, secrets: SECRETS };
    await make({ plan: previous.plan });
    host.starts = () => "it ended";
    host.answers = ([program], stdin = "") => ({
      code: program === "ask" && stdin.startsWith("one") ? 1 : 0,
      ...{ stdout: "", stderr: "not any more" },
    });
    const starts = host.starts;
    let tries = 0;
    host.starts = (name, text) => (++tries > 1 ? null : starts(name, text));
    const error = await failureOf(change(plan("two"), { previous }));
    expect(error.message).not.toContain("not any more");
    expect(error.restored).toBe(true);
    expect(host.read("/etc/toy/live")).toBe("one\n");
  });

  test("gets its previous plan back when a unit does not start, or a check does not hold", async () => {
    await make();
    const made = host.listing();
    const next = { ...plan("two"), units: { ...plan().units } };
    next.units["toy.service"] = {
      ...next.units["toy.service"],
      content: "[Service]\nbad\n",
    } as never;
    host.starts = (_, text) => (text.includes("bad") ? "it ended" : null);
    const error = await failureOf(change(next));
    expect(error.message).toContain("log of toy.service");
    expect(error.restored).toBe(true);
    expect(host.listing()).toEqual(made);

    host.answers = ([program, name]) => {
      const bad =
        program === "check" && name === "here" && host.read("/etc/toy/live") === "three\n";
      return { code: bad ? 1 : 0, stdout: "", stderr: bad ? "not here" : "" };
    };
    const other = await failureOf(change(plan("three")));
    expect(other.message).toContain("not here");
    expect(other.message).toContain("Mend it.");
    expect(host.listing()).toEqual(made);
  });

  test("is not asked for more of the fleet than held before", async () => {
    const all = (holds: () => boolean) => {
      host.answers = ([program, name]) => {
        const bad = program === "check" && name === "all" && !holds();
        return { code: bad ? 1 : 0, stdout: "", stderr: bad ? "no quorum" : "" };
      };
    };
    all(() => false);
    await make();
    await change(plan("two"));
    let asked = 0;
    all(() => asked++ < 1);
    const error = await failureOf(change(plan("three"), { previous: null }));
    expect(error.message).toContain("no quorum");
  });

  test("keeps data and its owner, finds them again, and lets them go at last", async () => {
    await make();
    writeFileSync(host.path("/var/lib/toy/note"), "precious");
    expect((await takeAway(true)).kept).toEqual(["/var/lib/toy"]);
    expect([host.read("/var/lib/toy/note"), [...host.users.keys()]]).toEqual(["precious", ["toy"]]);
    expect(host.read("/etc/issue")).toBe("theirs\n");
    await make();
    expect(await differences()).toEqual({});
    await takeAway();
    expect(host.listing()).toEqual(before);
  });

  describe("with the disk of a machine that numbered its users otherwise", () => {
    let owner: string;
    beforeEach(() => {
      owner = "4242:4243";
      host.answers = ([program, ...args]) => {
        if (program === "chown") owner = `${process.getuid?.()}:${process.getgid?.()}`;
        const isHome = program === "stat" && args.at(-1) === "/var/lib/toy";
        return { code: 0, stdout: isHome ? `${owner}\n` : "", stderr: "" };
      };
    });
    const given = () => host.commands.filter((command) => command.startsWith("chown"));

    test("gives a user its files back, once", async () => {
      expect((await make()).changed?.join()).toContain("/var/lib/toy given to toy");
      expect(given()).toEqual(["chown toy:toy /var/lib/toy"]);
      await make({ first: false });
      expect(given()).toHaveLength(1);
    });

    test("takes nothing from a user who is somebody else's", async () => {
      host.users.set("toy", { home: "/home/toy", shell: "/bin/sh", groups: [] });
      await make();
      expect(given()).toEqual([]);
    });

    test("leaves what the system itself owns", async () => {
      owner = "0:0";
      await make();
      expect(given()).toEqual([]);
    });
  });

  test("keeps packages, users and folders that were there before", async () => {
    host.installed.add("lib");
    host.mirror.set("theirs", { needs: ["front"] });
    host.users.set("toy", { home: "/home/toy", shell: "/bin/sh", groups: [] });
    before = host.listing();
    await make();
    await takeAway();
    expect(host.listing()).toEqual(before);
    // What somebody's own package needs by now stays too.
    await make();
    host.installed.add("theirs");
    await takeAway();
    expect([...host.installed].sort()).toEqual(["base", "front", "lib", "theirs"]);
  });

  describe("loses no package's configuration that was there before", () => {
    const RECORD = "/var/lib/openclaw-fleet-host/record.json";
    const withCertbot = () => ({ ...plan(), packages: ["certbot", "front"] });
    const letsencrypt = (on: FakeHost) => {
      on.mirror.set("certbot", { needs: ["acme"], folder: "/etc/letsencrypt" });
      on.mirror.set("acme", { needs: [] });
    };
    /** Somebody else's, of a package that was removed once. */
    const left = (on: FakeHost) => {
      mkdirSync(on.path("/etc/lib"));
      writeFileSync(on.path("/etc/lib/settings"), "theirs\n");
      on.mirror.set("lib", { needs: [], folder: "/etc/lib" });
      on.removed.add("lib");
    };

    test.each([
      ["made again and taken away", true],
      ["taken away", false],
    ])("of one that was removed and not purged, killed anywhere and %s", async (_, again) => {
      for (const late of [false, true]) {
        let over = false;
        for (let at = 1; !over; at++) {
          const each = fresh();
          try {
            left(each);
            before = each.listing();
            each.killAt = at;
            each.killLate = late;
            const life = () => make({}, each).then(() => takeAway(false, each));
            over = await life().then(
              () => true,
              () => false,
            );
            each.killAt = Number.POSITIVE_INFINITY;
            await (again ? life() : takeAway(false, each));
            expect(each.listing(), `${late ? "after" : "before"} ${at}`).toEqual(before);
          } finally {
            each.remove();
          }
        }
      }
    });

    test("in a folder that was there before and that a purge removes whole", async () => {
      letsencrypt(host);
      mkdirSync(host.path("/etc/letsencrypt"));
      writeFileSync(host.path("/etc/letsencrypt/key"), "from snap\n");
      await make({ plan: withCertbot() });
      await takeAway();
      expect(host.read("/etc/letsencrypt/key")).toBe("from snap\n");
      expect([[...host.installed], [...host.removed]]).toEqual([["base"], ["certbot"]]);
    });

    test("while a folder that the package brought goes with it, also in two attempts", async () => {
      letsencrypt(host);
      before = host.listing();
      await make();
      const real = host.run.bind(host);
      let failed = false;
      host.run = async (argv) => {
        const ran = await real(argv);
        // It came as far as certbot, then something broke.
        if (failed || !argv.includes("install") || argv.includes("--simulate")) return ran;
        failed = true;
        host.installed.delete("certbot");
        return { code: 100, stdout: "", stderr: "E: broke" };
      };
      await change(withCertbot());
      expect(failed).toBe(true);
      await takeAway();
      expect(host.listing()).toEqual(before);
    });

    test("and no package that came by hand while an installation was cut off", async () => {
      for (let at = 1; at < 12; at++) {
        const each = fresh();
        try {
          each.killAt = at;
          await expect(make({}, each)).rejects.toThrow();
          each.killAt = Number.POSITIVE_INFINITY;
          each.installed.add("theirs");
          await make({}, each);
          await takeAway(false, each);
          expect([...each.installed], `killed at ${at}`).toEqual(["base", "theirs"]);
        } finally {
          each.remove();
        }
      }
    });

    test("and goes by the record of an older agent", async () => {
      await make();
      const rewrite = (packages: object) => {
        const record = JSON.parse(host.read(RECORD) ?? "");
        writeFileSync(host.path(RECORD), JSON.stringify({ ...record, packages }));
      };
      // What that one was installing is nobody's for sure.
      rewrite({ ours: [], before: ["base"] });
      host.installed.add("theirs");
      host.commands.length = 0;
      await make({ first: false });
      expect(host.commands).toContain("dpkg");
      expect(JSON.parse(host.read(RECORD) ?? "").packages).toEqual({ ours: [] });
      rewrite({ ours: ["front", "lib"], before: null });
      await takeAway();
      expect([...host.installed]).toEqual(["base", "theirs"]);
      host.installed.delete("theirs");
      expect(host.listing()).toEqual(before);
    });
  });

  test("takes away what the next plan does not name", async () => {
    await make();
    const { "toy.service": _, ...units } = plan().units;
    const {
      "/etc/issue": __,
      "/etc/toy/live": ___,
      "/etc/toy/settings": ____,
      ...files
    } = plan().files;
    const { "/etc/toy": _____, ...directories } = plan().directories;
    await change({ ...plan(), units, files, directories });
    expect(host.read("/etc/issue")).toBe("theirs\n");
    expect(host.read("/etc/systemd/system/toy.service")).toBeNull();
    expect([host.read("/etc/toy/settings"), host.units.get("toy.service")?.active]).toEqual([
      null,
      false,
    ]);
    await takeAway();
    expect(host.listing()).toEqual(before);
  });

  test("carries one fleet", async () => {
    await make();
    await expect(
      apply(
        {
          ...WHO,
          fleet: "g",
          verb: "apply",
          plan: plan(),
          secrets: SECRETS,
          first: true,
          previous: null,
          api: null,
        },
        host,
      ),
    ).rejects.toThrow("this host carries node a of fleet f already");
  });

  test("never follows a link that somebody else could have put", async () => {
    await make();
    const inner = { ...plan(), directories: { ...plan().directories } };
    inner.directories["/var/lib/toy/in"] = { owner: "toy", group: "toy", mode: "0777" };
    inner.directories["/var/lib/toy/in/deep"] = { owner: "toy", group: "toy", mode: "0750" };
    await change(inner);
    await change(plan());
    // The folder is open to everybody, so what lies in it may be anybody's.
    await change({
      ...inner,
      directories: {
        ...inner.directories,
        "/var/lib/toy": { owner: "toy", group: "toy", mode: "0777", data: true },
      },
    });
    const { rmdirSync } = await import("node:fs");
    rmdirSync(host.path("/var/lib/toy/in/deep"));
    symlinkSync("/opt", host.path("/var/lib/toy/in/deep"));
    await expect(change(inner)).rejects.toThrow(/is no folder|symbolic link/);
  });
});

/** A whole life of a host for each of some forty commands. */
const LIVES_MS = 180_000;

describe("killed before or after any command", { timeout: LIVES_MS }, () => {
  const run = async (killLate: boolean, act: (on: FakeHost) => Promise<unknown>) => {
    for (let at = 1; ; at++) {
      const each = fresh();
      try {
        each.killAt = at;
        each.killLate = killLate;
        const killed = await act(each).then(
          () => false,
          (error: unknown) => {
            if (!(error instanceof Killed || /Killed/.test(String(error)) || each.killAt <= 0))
              throw error;
            return true;
          },
        );
        each.killAt = Number.POSITIVE_INFINITY;
        await make({}, each);
        expect(await differences(each)).toEqual({});
        expect(each.units.get("toy.service")).toMatchObject({ active: true, enabled: true });
        await takeAway(false, each);
        expect(each.listing()).toEqual(before);
        if (!killed) return at;
      } finally {
        each.remove();
      }
    }
  };

  test.each([false, true])(
    "a host that is made is made by the next run (after: %s)",
    async (late) => {
      expect(await run(late, (on) => make({}, on))).toBeGreaterThan(20);
    },
  );

  test.each([false, true])("one that is taken away can be made again (after: %s)", async (late) => {
    const removed = async (on: FakeHost) => {
      const { killAt } = on;
      on.killAt = Number.POSITIVE_INFINITY;
      await make({}, on);
      on.killAt = killAt;
      await takeAway(false, on);
    };
    expect(await run(late, removed)).toBeGreaterThan(10);
  });

  test("a restart that was due is not forgotten", async () => {
    await make();
    for (let at = 1; ; at++) {
      await change(plan());
      host.commands.length = 0;
      host.killAt = at;
      const over = await change(plan("two"), { previous: null }).then(
        () => true,
        () => false,
      );
      host.killAt = Number.POSITIVE_INFINITY;
      await change(plan("two"));
      expect(told()).toContain("systemctl restart toy.service");
      if (over) break;
    }
  });
});

describe("the node on the host", () => {
  let self: FakeNode;
  let api: NodeApiAccess;
  const node = (word = "one"): HostPlan => {
    const made = plan(word);
    const toy = { ...made.units["toy.service"], drains: true } as HostPlan["units"][string];
    return { ...made, units: { ...made.units, "toy.service": toy } };
  };

  beforeEach(async () => {
    self = new FakeNode(() => host.units.get("toy.service")?.active === true);
    api = await self.listen();
    await make({ plan: node(), api });
    host.commands.length = 0;
  });
  afterEach(() => self.close());
  const restart = () => change(node("two"), { api, previous: { plan: node(), secrets: SECRETS } });

  test("is drained before it restarts, and goes on when it serves", async () => {
    host.starts = (name) => {
      if (name === "toy.service") self.calls.push("restarted");
      return null;
    };
    await restart();
    expect(self.calls).toEqual(["drain", "restarted", "resume"]);
  });

  test("is not touched for files that it follows by itself", async () => {
    const next = node();
    const file = { ...(next.files["/etc/issue"] as HostPlan["files"][string]), content: "x\n" };
    await change({ ...next, files: { ...next.files, "/etc/issue": file } }, { api });
    expect([self.calls, told()]).toEqual([[], []]);
  });

  test("stays aside when a person put it there", async () => {
    self.state = "maintenance";
    await restart();
    expect([self.calls, self.state]).toEqual([[], "maintenance"]);
  });

  test("restarts without a drain where nobody could take its shards", async () => {
    self.others = [];
    await restart();
    expect([self.calls, told()]).toEqual([[], ["systemctl restart toy.service"]]);
  });

  test("waits for the other hosts, if it may, while none of them can take its shards", async () => {
    const previous = { plan: node(), secrets: SECRETS };
    const again = (mayWait: boolean) => change(node("two"), { api, previous, mayWait });
    for (const how of ["maintenance", "lost"] as const) {
      self.othersAre = how;
      expect(await again(true)).toMatchObject({ later: true });
    }
    expect([self.calls, told()]).toEqual([[], []]);
    expect((await again(false)).later).toBeUndefined();
    expect([self.calls, told()]).toEqual([[], ["systemctl restart toy.service"]]);
    expect(host.said).toContainEqual(expect.stringContaining("no other node can take its shards"));
  });

  test("waits for nobody when it has no shards, or nothing stops it", async () => {
    self.othersAre = "lost";
    await change(node(), { api, mayWait: true });
    self.owner = "b";
    expect(await change(node("two"), { api, mayWait: true })).not.toHaveProperty("later");
    expect(told()).toEqual(["systemctl restart toy.service"]);
  });

  test("goes on when the change is refused, and when it was killed in between", async () => {
    host.answers = ([program]) => ({ code: program === "verify" ? 1 : 0, stdout: "", stderr: "" });
    await failureOf(restart());
    expect([self.calls, self.state]).toEqual([["drain", "resume"], "active"]);
    host.answers = () => ({ code: 0, stdout: "", stderr: "" });
    self.owner = "a";
    host.starts = () => {
      throw new Killed();
    };
    await restart().catch(() => {});
    expect(await differences(host, node("two"))).toHaveProperty(["change"]);
    host.starts = () => null;
    await restart();
    expect(self.state).toBe("active");
  });
});
