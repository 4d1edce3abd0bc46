/** What a service of a host is denied, and what it still may. */
export interface Hardening {
  /** Folders it writes below; every other one is read only. @default none */
  readonly writes?: readonly string[];
  /** Capabilities it may have. Null: all, for what changes its user by itself. @default none */
  readonly capabilities?: readonly string[] | null;
  /** Kinds of sockets it may open. Null: all. @default those of the Internet and of UNIX */
  readonly sockets?: readonly string[] | null;
  /** What it cannot do without. Whoever names one says why. @default none */
  readonly except?: readonly Denial[];
}

/** What no service of ours needs, unless it says so. Meanings: systemd.exec(5). */
const DENIED = {
  NoNewPrivileges: "yes",
  ProtectSystem: "strict",
  ProtectHome: "yes",
  PrivateTmp: "yes",
  PrivateDevices: "yes",
  ProtectClock: "yes",
  ProtectControlGroups: "yes",
  ProtectHostname: "yes",
  ProtectKernelLogs: "yes",
  ProtectKernelModules: "yes",
  ProtectKernelTunables: "yes",
  RestrictNamespaces: "yes",
  RestrictRealtime: "yes",
  RestrictSUIDSGID: "yes",
  LockPersonality: "yes",
  MemoryDenyWriteExecute: "yes",
  SystemCallArchitectures: "native",
} as const;
export type Denial = keyof typeof DENIED;

const INTERNET_AND_UNIX = ["AF_INET", "AF_INET6", "AF_UNIX"];

/** Lines of `[Service]`, without a newline at the end. What a service denies itself besides, it adds. */
export function hardening({
  writes = [],
  capabilities = [],
  sockets = INTERNET_AND_UNIX,
  except = [],
}: Hardening = {}): string {
  const denied = Object.entries(DENIED).filter(([name]) => !except.includes(name as Denial));
  return [
    ...denied.map(([name, value]) => `${name}=${value}`),
    ...(writes.length > 0 ? [`ReadWritePaths=${writes.join(" ")}`] : []),
    ...(capabilities ? [`CapabilityBoundingSet=${capabilities.join(" ")}`] : []),
    ...(sockets ? [`RestrictAddressFamilies=${sockets.join(" ")}`] : []),
  ].join("\n");
}

/** With these a program lists interfaces and routes as well: Go's and Node's resolvers do. */
export const WITH_NETLINK = [...INTERNET_AND_UNIX, "AF_NETLINK"];

/** What a program that compiles at run time, as Node does, cannot be denied. */
export const COMPILES: readonly Denial[] = ["MemoryDenyWriteExecute"];
