/**
 * What a host is to be, as plain data: nothing here does anything. Parts (the node, etcd, Redis, the
 * front, monitoring) each plan a {@link HostPart}; `mergeParts` makes one {@link HostPlan} of them, and the
 * resource `openclaw:host:Release` carries it out. Everything is keyed by what it is (a path, a unit's
 * name), so that a preview names what changed.
 *
 * No secret is ever in a plan. A file that needs one says `{{secret NAME}}` where it stands; the values
 * travel beside the plan and are put in on the host (in a file of format `json` they are escaped for
 * inside a JSON string). A NAME is made of letters, digits and `._-[]`.
 */
export interface HostPlan {
  /** Debian packages that must be installed, sorted. Their services are not started by the installation. */
  readonly packages: readonly string[];
  readonly users: Readonly<Record<string, HostUser>>;
  /** By absolute path. Parents first when carried out. */
  readonly directories: Readonly<Record<string, HostDirectory>>;
  /** By absolute path. */
  readonly files: Readonly<Record<string, HostFile>>;
  /** By systemd name, with its suffix. */
  readonly units: Readonly<Record<string, HostUnit>>;
  /** By a name people read. All must hold before the host counts as done. */
  readonly checks: Readonly<Record<string, HostCheck>>;
}

/** One part of a host. What two parts share (a user, a directory) must be said alike by both. */
export type HostPart = Partial<HostPlan>;

/** A system user with a group of the same name, no password and no login shell. */
export interface HostUser {
  readonly home: string;
  /** Further groups. @default none */
  readonly groups?: readonly string[];
  /** @default "/usr/sbin/nologin" */
  readonly shell?: string;
}

export interface HostDirectory {
  readonly owner: string;
  readonly group: string;
  /** Octal, four digits: "0750". */
  readonly mode: string;
  /**
   * True for what people would miss (conversations, stores): when the fleet is destroyed, it stays if the
   * stack keeps its data. False: it goes with the host's part in the fleet. @default false
   */
  readonly data?: boolean;
}

export interface HostFile {
  readonly content: string;
  readonly owner: string;
  readonly group: string;
  readonly mode: string;
  /** How secrets are put in. @default "text" */
  readonly format?: "text" | "json";
  /**
   * True for a file that its program writes anew while it runs (Sentinel's): it is written when it is
   * missing and when what the plan says of it changed, and what it holds meanwhile is no drift. @default false
   */
  readonly rewritten?: boolean;
  /**
   * A command (argv) that reads the new content, secrets in their places, from its input. It must succeed before any
   * file of the plan is written, for a file that programs follow by themselves: when it fails, they never see it.
   */
  readonly verify?: readonly string[];
}

export interface HostUnit {
  /** Text of the unit file. Missing: the unit comes with a package. */
  readonly content?: string;
  /** Text of a drop-in `10-openclaw-fleet.conf` of a package's unit. */
  readonly dropIn?: string;
  /**
   * `enabled`: started, and at each boot. `disabled`: stopped, and not at boot (a package's unit that is not
   * wanted). `triggered`: only there; a timer, another unit or a person starts it.
   */
  readonly state: "enabled" | "disabled" | "triggered";
  /** Units start in this order, and stop in the opposite one. Equal numbers by name. */
  readonly order: number;
  /** Files whose change restarts it; its own text always does. */
  readonly restartOn?: readonly string[];
  /** Files whose change reloads it (`systemctl reload`). */
  readonly reloadOn?: readonly string[];
  /**
   * A command (argv) that must succeed with the new files in place before the unit is started, restarted or
   * reloaded, e.g. `nginx -t`. When it fails the old files go back and the unit is left alone.
   */
  readonly verify?: readonly string[];
  /**
   * A command (argv) that takes what the unit runs out of what it shares with other hosts (a member out of its
   * cluster). It must succeed before the unit is stopped because no plan names it any more, or because the host leaves a
   * fleet that goes on; when it fails nothing is changed. Doing it again must do no harm.
   */
  readonly leave?: readonly string[];
  /**
   * True for the node itself: before it is stopped or restarted the node is drained, and the host counts
   * as done only when it serves again.
   */
  readonly drains?: boolean;
}

/** A command that succeeds when something on the host is well. Repeated until it does. */
export interface HostCheck {
  readonly argv: readonly string[];
  /** Longest wait, s. */
  readonly deadlineSeconds: number;
  /**
   * True: only meaningful once the other hosts are there (a quorum). It is left out while a host is
   * created, and holds for every later change. @default false
   */
  readonly needsFleet?: boolean;
  /** What a person should do when it does not come true. */
  readonly remedy: string;
}

/** What every part is told about the host it plans for, and about the others. */
export interface HostContext {
  /** The fleet: the stack's name. */
  readonly fleet: string;
  /** This host. */
  readonly self: HostFacts;
  /** Every host, this one included, in the order of the settings. */
  readonly hosts: readonly HostFacts[];
  readonly paths: HostPaths;
  readonly ports: HostPorts;
}

export interface HostFacts {
  /** The node's id. */
  readonly name: string;
  /** Address under which the other hosts reach it: an IP address or a name. */
  readonly address: string;
  /** Set when it only votes: it runs no shards. */
  readonly witness?: boolean;
}

/** Where things lie on every host. */
export interface HostPaths {
  /** Unpacked release artifact of this plan: holds `bin/node`, `bin/etcd`, `bin/etcdctl`, `openclaw/`, `runtime/`. */
  readonly release: string;
  /** Conversations, node configuration; what is kept. `fleet.json` and `nodes/<id>/node.json` are in it. */
  readonly data: string;
  /** Configuration that is no node's: etcd, Redis, front. */
  readonly etc: string;
  /** Certificates of the fleet's own authority: `ca.pem`, and `node.pem`, `node.key` of this host. */
  readonly tls: string;
}

export const HOST_PATHS = {
  root: "/opt/openclaw-fleet",
  releases: "/opt/openclaw-fleet/releases",
  data: "/var/lib/openclaw-fleet",
  etc: "/etc/openclaw-fleet",
  tls: "/etc/openclaw-fleet/tls",
} as const;

/** Ports on every host. Everything but `front` is for loopback or for the other hosts alone. */
export interface HostPorts {
  /** HTTP of the router, on loopback only: for the host itself, its scraper and its checks. */
  readonly local: number;
  /** HTTPS of the router for the fronts of all hosts, with certificates both ways. */
  readonly router: number;
  /** HTTPS between routers, with certificates both ways. */
  readonly peer: number;
  readonly etcdClient: number;
  readonly etcdPeer: number;
  readonly redis: number;
  readonly sentinel: number;
  /** Replicas of other nodes' shards, over SFTP. */
  readonly sftp: number;
}

/** Source of etcd's and Redis's: their own defaults. The rest is next to the router's default port. */
export const HOST_PORTS: HostPorts = {
  local: 18_789,
  router: 18_790,
  peer: 18_791,
  etcdClient: 2_379,
  etcdPeer: 2_380,
  redis: 6_379,
  sentinel: 26_379,
  sftp: 18_792,
};

/** A folder that every program may look into, and root alone changes. */
export const OPEN_DIRECTORY: HostDirectory = { owner: "root", group: "root", mode: "0755" };

/** Runs the node, and owns everything that the fleet keeps. */
export const FLEET_USER = "openclaw";

/** Order in which units start: what others need comes first. */
export const UNIT_ORDER = {
  store: 10,
  sessions: 20,
  replicas: 30,
  node: 40,
  front: 50,
  monitoring: 60,
} as const;
