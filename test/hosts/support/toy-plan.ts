import type { HostPlan, HostUnit } from "../../../components/host/types.ts";

/** Small things of every kind, so that a whole life of a host takes seconds. */
export const TOY = {
  unit: "openclaw-toy.service",
  /** Comes with Debian's nginx; a plan switches it off. */
  foreign: "nginx.service",
  settings: "/etc/openclaw-toy/settings",
  reloaded: "/etc/openclaw-toy/reloaded",
  /** Was on the host before, with another content. */
  adopted: "/etc/motd",
  data: "/var/lib/openclaw-toy",
} as const;
export const SECRETS = { "toy.password": "Xq7-secret-of-the-toy", "token.admin": "t".repeat(43) };

/** Writes what it read, so that a test sees which settings it runs with. */
export const loop = (more = "") =>
  `[Service]\nUser=openclaw-toy\n${more}ExecStart=/bin/sh -c 'cp ${TOY.settings} ${TOY.data}/read; while :; do sleep 1; done'\n` +
  "ExecReload=/bin/sh -c 'echo reloaded >> " +
  `${TOY.data}/reloads'\n[Install]\nWantedBy=multi-user.target\n`;

/** @param unit what differs from the usual unit */
export function toyPlan(settings = "first", unit: Partial<HostUnit> = {}): HostPlan {
  const root = { owner: "root", group: "root" };
  return {
    packages: ["nginx"],
    users: { "openclaw-toy": { home: TOY.data } },
    directories: {
      [TOY.data]: { owner: "openclaw-toy", group: "openclaw-toy", mode: "0750", data: true },
      "/etc/openclaw-toy": { owner: "root", group: "openclaw-toy", mode: "0750" },
    },
    files: {
      [TOY.settings]: {
        content: `${settings} {{secret toy.password}}\n`,
        owner: "root",
        group: "openclaw-toy",
        mode: "0640",
      },
      [TOY.reloaded]: { content: "one\n", ...root, mode: "0644" },
      [TOY.adopted]: { content: "a host of a fleet\n", ...root, mode: "0644" },
    },
    units: {
      [TOY.foreign]: { state: "disabled", order: 5 },
      [TOY.unit]: {
        content: loop(),
        state: "enabled",
        order: 10,
        restartOn: [TOY.settings],
        reloadOn: [TOY.reloaded],
        verify: ["grep", "-q", "Xq7", TOY.settings],
        ...unit,
      },
    },
    checks: {
      "the toy runs": {
        argv: ["test", "-s", `${TOY.data}/read`],
        deadlineSeconds: 20,
        remedy: `Look at journalctl -u ${TOY.unit}`,
      },
    },
  };
}

/** Everything on the disk with its owner, mode and link, but for what any running system changes. */
export const LISTING = `find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o \\
  -path /var/log -o -path /var/cache -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd -o \\
  -path /opt/openclaw-fleet -o -path /srv -o -path /var/lib/nginx -o -name '*-' \\) -prune -o -printf '%p %U:%G %m %l\\n' | sort; sha256sum /etc/motd /etc/passwd /etc/group`;
