import { isIP } from "node:net";
import { z } from "zod";

/** Settings that only target `hosts` reads. */

const hostName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,40}$/, "lower-case letters, digits and -, at most 41");

/** An address, or a range of them. */
const range = z.string().refine((text) => {
  const [address = "", prefix, ...more] = text.split("/");
  const bits = { 4: 32, 6: 128 }[isIP(address)];
  if (bits === undefined || more.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
}, "an address or a range, e.g. 203.0.113.7 or 203.0.113.0/24");

const host = z.strictObject({
  name: hostName.describe("The node's id, for ever: another name is another node."),
  address: z
    .string()
    .min(1)
    .describe("IP address or DNS name under which the other hosts, and you, reach it."),
  user: z
    .string()
    .optional()
    .describe(
      "Who logs in: root, or somebody with sudo that asks for nothing. As OpenSSH decides when left out.",
    ),
  port: z.int().min(1).max(65_535).optional().describe("Port of its sshd; 22 when left out."),
  identityFile: z
    .string()
    .optional()
    .describe(
      "Private key file on this machine; the agent's keys and ~/.ssh/config when left out.",
    ),
  sshConfigHost: z
    .string()
    .optional()
    .describe("Name of a Host block in ~/.ssh/config, which then says how to get there."),
  jump: z.string().optional().describe("Jump host, as ssh -J takes it: user@host:port."),
  hostKey: z
    .string()
    .optional()
    .describe(
      "Its public host key, e.g. `ssh-ed25519 AAAA…`; the one seen first is kept when left out.",
    ),
  witness: z
    .boolean()
    .default(false)
    .describe(
      "true: it only votes on who owns what, and runs no shards; for two nodes and a small third.",
    ),
  arch: z
    .enum(["x64", "arm64"])
    .default("x64")
    .describe(
      "Its processor; hosts of one fleet may differ. Another one than written is refused before anything is sent.",
    ),
  labels: z
    .record(z.string(), z.string())
    .default({})
    .describe("Your own words about it, shown by status --wide."),
});

/** An ordinary list of machines. */
export const hostsSetting = z
  .array(host)
  .default([])
  .describe("Machines of target hosts: name and address of each, and how to get there.");

/** What people reach, before the routers. */
export const frontSettings = z.strictObject({
  kind: z
    .enum(["nginx", "caddy", "none"])
    .default("nginx")
    .describe("What answers on the public ports. none: something of your own calls the routers."),
  hosts: z
    .array(hostName)
    .optional()
    .describe("Hosts that carry it; all that run shards when left out."),
  certificate: z
    .enum(["acme", "fleet", "own"])
    .optional()
    .describe(
      "acme: Let's Encrypt, for domain. own: files named in certificateFile and keyFile. fleet: signed by the fleet's own authority, which clients must trust. acme with a domain, otherwise fleet, when left out.",
    ),
  email: z.string().optional().describe("Where Let's Encrypt writes to (acme)."),
  certificateFile: z.string().optional().describe("Chain in PEM, a file on this machine (own)."),
  keyFile: z.string().optional().describe("Its key in PEM, a file on this machine (own)."),
  balancing: z
    .enum(["round_robin", "least_conn", "ip_hash"])
    .default("least_conn")
    .describe("Which router a front picks. Any of them reaches every shard."),
  httpPort: z.int().min(1).max(65_535).default(80).describe("Port that redirects to HTTPS."),
  httpsPort: z.int().min(1).max(65_535).default(443).describe("Port people talk to (hosts)."),
  proxyProtocolFrom: z
    .array(range)
    .default([])
    .describe(
      "Ranges of your own balancers, which speak the PROXY protocol to the fronts; nobody else is listened to then (nginx).",
    ),
  adminFrom: z
    .array(range)
    .optional()
    .describe(
      "Ranges from which the fleet's own API (/api/v1/fleet, /api/v1/history, metrics, /internal/agent/drain) is reached through the fronts; [] for none. Everywhere when left out; the admin token is asked for in any case. Commands as `status` and `move` come this way as well.",
    ),
  ipv6: z
    .boolean()
    .default(true)
    .describe("false for hosts whose kernel has no IPv6: fronts listen on IPv4 alone then."),
  limits: z
    .strictObject({
      connections: z
        .int()
        .min(1)
        .optional()
        .describe(
          "Requests under way at once; a stream and a WebSocket each are one. 1024 when left out: all that routers hold for four shards without an owner (256 each) may come from one address.",
        ),
      requestsPerSecond: z.int().min(1).optional().describe("200 when left out."),
      burst: z
        .int()
        .min(0)
        .optional()
        .describe(
          "Requests above the rate that pass at once. 1000 when left out, so that what was held and comes again at once passes.",
        ),
    })
    .prefault({})
    .describe("What one address may ask; many people can share one (nginx)."),
});

/** Sessions, limits and stored answers. */
export const redisSettings = z.strictObject({
  url: z
    .string()
    .optional()
    .describe(
      "Address of a Redis or Valkey of your own, as env:NAME or a Pulumi secret; the hosts carry one as the preset says when left out.",
    ),
  memoryMiB: z
    .int()
    .min(64)
    .optional()
    .describe(
      "maxmemory of each server on the hosts, MiB; 256 when left out, which is 100,000 sessions and 130 of the largest stored answers. Its unit may take twice as much.",
    ),
});

/** Where conversations go by plain HTTP is this machine alone. */
const bucketEndpoint = z.url({ protocol: /^https?$/ }).refine((text) => {
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || /^(localhost|127\..*|\[::1\])$/.test(hostname);
}, "an address with https://; conversations are sent there");

const bucket = z.strictObject({
  bucket: z
    .string()
    .min(1)
    .describe("The bucket's name. It must be there; nobody else writes below prefix."),
  region: z
    .string()
    .min(1)
    .describe("Its region, e.g. eu-central-1; what the provider calls it, elsewhere."),
  endpoint: bucketEndpoint
    .optional()
    .describe(
      "Another S3 than Amazon's, e.g. https://s3.example.com; the bucket is then part of the path.",
    ),
  prefix: z
    .string()
    .regex(/^([A-Za-z0-9._-]+\/)+$/, "folders, ending in /, e.g. fleets/prod/")
    .optional()
    .describe("Before every key; the fleet's name and / when left out."),
  accessKeyId: z.string().min(1).describe("Who writes, reads, lists and removes there."),
  secretAccessKey: z
    .string()
    .min(1)
    .describe("Its key, as env:NAME or a Pulumi secret; a file of the nodes' user on the hosts."),
});

/** The replicas of shards. */
export const replicationSettings = z.strictObject({
  s3: bucket
    .optional()
    .describe(
      "A bucket that keeps the replicas, outside of the hosts and instead of them, so that conversations outlive all hosts; also for a single host. Set before the first up; ec2 has a bucket of its own.",
    ),
  bytesPerSecond: z
    .int()
    .min(65_536)
    .optional()
    .describe(
      "Most that a host sends to the others, bytes a second, all its shards together. No limit when left out; one below what shards write leaves them behind for good.",
    ),
  keep: z
    .strictObject({
      minutesForHours: z
        .int()
        .min(0)
        .default(1)
        .describe("One moment a minute, for so many hours."),
      hoursForDays: z.int().min(0).default(1).describe("One moment an hour, for so many days."),
      daysForDays: z.int().min(0).default(30).describe("One moment a day, for so many days."),
    })
    .optional()
    .describe(
      "Moments that ./fleet restore can go back to, besides the newest ten. What they hold lies on the disks of the hosts, or in the bucket.",
    ),
});

/** How nodes find each other; which there are, the lease store says. */
export const discoverySettings = z.strictObject({
  dns: z
    .string()
    .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, "a domain, e.g. nodes.example.com")
    .optional()
    .describe(
      "Domain in which nodes are looked up, every 10 s: SRV records _openclaw-fleet._tcp.<domain>, else <node>.<domain>. By the addresses in hosts when left out.",
    ),
});

export const certificatesSettings = z.strictObject({
  days: z.int().min(2).default(730).describe("How long certificates between hosts last, days."),
  generation: z
    .int()
    .min(0)
    .default(0)
    .describe("A larger number makes new ones; ./fleet rotate-certs counts it."),
  authorityStep: z
    .int()
    .min(0)
    .default(0)
    .describe("Steps of exchanging the authority; ./fleet rotate-certs --authority counts it."),
});

export type HostSettings = z.output<typeof host>;
export type FrontSettings = z.output<typeof frontSettings>;
