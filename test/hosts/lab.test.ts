import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { TestHosts } from "./support/lab.ts";
import { whyNoHosts } from "./support/programs.ts";

const LAB = join(import.meta.dirname, "support", "lab.ts");

describe.skipIf(whyNoHosts() !== null)("test hosts", () => {
  let lab: TestHosts;
  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: ["a", "b"] });
  });
  afterAll(async () => {
    await lab?.close();
  });

  /** First line of another host's sshd, as seen from a host; empty when it cannot be reached. */
  const seen = async (from: string, to: string) => {
    const script = `timeout 3 bash -c 'exec 3<>/dev/tcp/${lab.host(to).address}/22; head -c 4 <&3'`;
    return (await lab.host(from).run(script, { check: false })).stdout;
  };

  test("each has systemd, a name, a disk and an address of its own", async () => {
    for (const { name, address } of lab.hosts) {
      const host = lab.host(name);
      await host.run(`echo ${name} > /root/mark`);
      expect((await host.run("hostname; cat /root/mark")).stdout).toBe(`${name}\n${name}\n`);
      expect((await host.run("ip -o -4 addr show host0")).stdout).toContain(` ${address}/24 `);
      expect((await host.run(["systemctl", "is-active", "ssh"])).stdout).toBe("active\n");
    }
    const ids = await Promise.all(lab.hosts.map((host) => host.readFile("/etc/machine-id")));
    expect(new Set(ids).size).toBe(2);
  });

  test("nothing of the distribution's servers runs", async () => {
    const { stdout } = await lab
      .host("a")
      .run("systemctl is-enabled nginx redis-server prometheus || :");
    expect(stdout).toBe("disabled\ndisabled\ndisabled\n");
  });

  test("a script that fails throws what it wrote", async () => {
    await expect(lab.host("a").run("echo no such thing >&2; exit 3")).rejects.toThrow(
      /exit 3[\s\S]*no such thing/,
    );
    expect((await lab.host("a").run("exit 3", { check: false })).code).toBe(3);
  });

  test("a cut host neither hears nor is heard, and still runs commands", async () => {
    await lab.host("b").cutNetwork();
    expect(await seen("a", "b")).toBe("");
    expect(await seen("b", "a")).toBe("");
    await lab.host("b").heal();
    expect(await seen("a", "b")).toBe("SSH-");
  });

  test("a cut in one direction lets the other through", async () => {
    const [a, b] = [lab.host("a"), lab.host("b")];
    const received = async () => {
      const { stdout } = await b.run("cat /sys/class/net/host0/statistics/rx_packets");
      return Number(stdout);
    };
    await b.cutOneWay("out", [a]);
    const before = await received();
    expect(await seen("a", "b")).toBe("");
    expect(await received()).toBeGreaterThan(before);
    await b.heal();
    await b.cutFrom([a]);
    expect(await seen("b", "a")).toBe("");
    await b.heal();
    expect(await seen("b", "a")).toBe("SSH-");
  });

  test("a slow network still carries everything", async () => {
    await lab.host("b").slowNetwork(256);
    expect((await lab.host("b").run("tc qdisc show dev host0")).stdout).toContain("tbf");
    expect(await seen("a", "b")).toBe("SSH-");
    await lab.host("b").heal();
    expect((await lab.host("b").run("tc qdisc show dev host0")).stdout).not.toContain("tbf");
  });

  test("a frozen host stands still, and goes on where it was", async () => {
    const b = lab.host("b");
    await b.run(
      "systemd-run --unit=count sh -c 'i=0; while :; do i=$((i+1)); echo $i > /run/count; sleep 0.05; done'",
    );
    const count = async () => Number((await b.readFile("/run/count")) ?? 0);
    await eventually(async () => expect(await count()).toBeGreaterThan(1));
    await b.freeze();
    const frozen = await count();
    expect(await seen("a", "b")).toBe("");
    expect(await count()).toBe(frozen);
    await b.thaw();
    await eventually(async () => expect(await count()).toBeGreaterThan(frozen));
  });

  test("power loss ends everything, and the disk stays", async () => {
    const b = lab.host("b");
    await b.run("echo kept > /root/kept; echo lost > /run/lost");
    await b.freeze();
    await b.powerOff();
    expect(b.running).toBe(false);
    await expect(b.run("true")).rejects.toThrow("host b is off");
    expect(await seen("a", "b")).toBe("");
    await b.start();
    expect(await b.readFile("/root/kept")).toBe("kept\n");
    expect(await b.readFile("/run/lost")).toBeNull();
    expect(await seen("a", "b")).toBe("SSH-");
  });

  test("a host that is rebooted starts what is enabled", async () => {
    const b = lab.host("b");
    await b.run("echo lost > /run/lost; systemctl enable --quiet nginx");
    await b.reboot();
    expect(await b.readFile("/run/lost")).toBeNull();
    expect((await b.run("systemctl is-active nginx")).stdout).toBe("active\n");
  });

  test("a host with a disk of its own can run out of it, and keeps it over a power loss and another machine", async () => {
    const small = await TestHosts.create({ hosts: ["x"], dataMiB: 32 });
    try {
      const x = small.host("x");
      const write = "dd if=/dev/zero of=/var/lib/openclaw-fleet/file bs=1M count=4 conv=fsync";
      await x.run(write);
      await x.fillDisk();
      await expect(x.run(write.replace("file", "more"))).rejects.toThrow(/No space left/);
      await x.run("dd if=/dev/zero of=/root/elsewhere bs=1M count=4");
      await x.powerOff();
      await x.start();
      await expect(x.run(write.replace("file", "more"))).rejects.toThrow(/No space left/);
      await x.freeDisk();
      await x.run(write.replace("file", "more"));
      expect((await x.run("stat -c %s /var/lib/openclaw-fleet/file")).stdout).toBe("4194304\n");
      const { hostKey } = x;
      await x.replace();
      x.write("/root/image", "brought\n");
      await x.start();
      expect(x.hostKey).not.toBe(hostKey);
      expect(await x.readFile("/root/elsewhere")).toBeNull();
      expect(await x.readFile("/root/image")).toBe("brought\n");
      expect((await x.run("stat -c %s /var/lib/openclaw-fleet/file")).stdout).toBe("4194304\n");
    } finally {
      await small.close();
    }
    await expect(lab.host("a").fillDisk()).rejects.toThrow("has no disk of its own");
  });

  test("what a killed run left is removed by the next one", async () => {
    const program = `
      const { TestHosts } = await import(${JSON.stringify(LAB)});
      const lab = await TestHosts.create({ hosts: ["x"] });
      console.log(JSON.stringify({ id: lab.id, identity: lab.identityFile, pid: lab.host("x").pid }));
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await child.stdout.take(1).toArray()) as Buffer[];
    const left = JSON.parse(String(line)) as { id: string; identity: string; pid: number };
    expect(networkInterfaces()[`fl-${left.id}`]).toBeDefined();
    child.kill("SIGKILL");
    // Its hosts end with it, without anybody's help.
    await eventually(() => expect(existsSync(`/proc/${left.pid}`)).toBe(false));
    const next = await TestHosts.create({ hosts: ["x"], off: ["x"] });
    try {
      expect(next.id).not.toBe(left.id);
      expect(existsSync(left.identity)).toBe(false);
      expect(networkInterfaces()[`fl-${left.id}`]).toBeUndefined();
      // A lab that is in use is not touched.
      expect((await lab.host("a").run("echo here")).stdout).toBe("here\n");
    } finally {
      await next.close();
    }
    expect(networkInterfaces()[`fl-${next.id}`]).toBeUndefined();
  });
});
