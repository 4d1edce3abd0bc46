import { GROW_SCRIPT, PREPARE_SCRIPT } from "./state-scripts.ts";

/** Where a host's state goes, and on what. */
export interface StateVolume {
  /** As EC2 calls it: `vol-0123456789abcdef0`. */
  readonly volumeId: string;
  /** Name under which it is attached, e.g. `/dev/sdf`: how machines without NVMe know it. */
  readonly device: string;
  readonly mountPoint: string;
}

/** Makes the volume ready for its mount: at every boot, before it. */
export const STATE_UNIT = "openclaw-fleet-state.service";
/** Takes up what the volume grew by, while everything runs. */
export const GROW_UNIT = "openclaw-fleet-state-grow.service";
export const GROW_TIMER = "openclaw-fleet-state-grow.timer";

const PREPARE = "/usr/local/lib/openclaw-fleet/prepare-state";
const GROW = "/usr/local/lib/openclaw-fleet/grow-state";
/** Leads to the volume, whatever this machine calls it. */
const LINK = "/run/openclaw-fleet-state";

/** Longest that a machine waits for its volume, seconds: AWS attaches it once the machine runs. */
export const ATTACH_SECONDS = 900;

/**
 * What a machine does at its first start, as cloud-init reads it; later boots find units. JSON is YAML,
 * and quotes by itself. Nothing in it is secret, and nothing differs between a first machine and one in
 * its place (docs/decisions/238-state-volume-by-user-data.md).
 */
export function userData(state: StateVolume): string {
  const mount = mountUnit(state.mountPoint);
  const config = {
    write_files: [
      file(PREPARE, PREPARE_SCRIPT, "0755"),
      file(GROW, GROW_SCRIPT, "0755"),
      ...Object.entries(stateUnits(state)).map(([name, content]) =>
        file(`/etc/systemd/system/${name}`, content, "0644"),
      ),
    ],
    // It ends with the mount, or as failed: who waits for cloud-init knows.
    runcmd: [
      ["systemctl", "daemon-reload"],
      ["systemctl", "enable", "--now", mount, GROW_TIMER],
    ],
  };
  return `#cloud-config\n${JSON.stringify(config, null, 1)}\n`;
}

const file = (path: string, content: string, permissions: string) => ({
  path,
  content,
  permissions,
  owner: "root:root",
});

/** Where the volume may be found: by its id on all current machines, else by the name it was given. */
export function candidates({ volumeId, device }: StateVolume): string[] {
  return [
    `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${volumeId.replace("-", "")}`,
    device,
    device.replace("/dev/sd", "/dev/xvd"),
  ];
}

/** Units by name. */
export function stateUnits(state: StateVolume): Record<string, string> {
  const { mountPoint } = state;
  const mount = mountUnit(mountPoint);
  return {
    [STATE_UNIT]: `[Unit]
Description=Volume for the state of the OpenClaw fleet

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${PREPARE} ${mountPoint} ${LINK} ${ATTACH_SECONDS} ${candidates(state).join(" ")}
TimeoutStartSec=infinity
`,
    // Not before local-fs.target: a host without its volume starts, and can be looked at.
    [mount]: `[Unit]
Description=State of the OpenClaw fleet
DefaultDependencies=no
Requires=${STATE_UNIT}
After=${STATE_UNIT}
Conflicts=umount.target
Before=umount.target

[Mount]
What=${LINK}
Where=${mountPoint}
Type=ext4
Options=nodev,nosuid

[Install]
WantedBy=multi-user.target
`,
    [GROW_UNIT]: `[Unit]
Description=Room that the volume of the OpenClaw fleet's state grew by
Requires=${mount}
After=${mount}

[Service]
Type=oneshot
ExecStart=${GROW} ${mountPoint}
Nice=10
`,
    [GROW_TIMER]: `[Unit]
Description=Looks whether the volume of the OpenClaw fleet's state grew

[Timer]
OnCalendar=*:0/5
AccuracySec=30s

[Install]
WantedBy=multi-user.target
`,
  };
}

/** The unit that mounts a path: systemd accepts no other name for it. */
export function mountUnit(path: string): string {
  const escaped = path
    .replace(/^\/|\/$/g, "")
    .split("/")
    .map((part) =>
      [...part]
        .map((character, i) =>
          /[A-Za-z0-9:_]/.test(character) || (character === "." && i > 0)
            ? character
            : `\\x${character.charCodeAt(0).toString(16)}`,
        )
        .join(""),
    )
    .join("-");
  return `${escaped}.mount`;
}
