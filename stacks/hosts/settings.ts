import { z } from "zod";

/** Settings that only target `hosts` reads. */

const hostName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,40}$/, "lower-case letters, digits and -, at most 41");

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
    .describe("Its processor; another one than written is refused before anything is sent."),
  labels: z
    .record(z.string(), z.string())
    .default({})
    .describe("Your own words about it, shown by status."),
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
});

/** Sessions, limits and stored answers. */
export const redisSettings = z.strictObject({
  url: z
    .string()
    .optional()
    .describe(
      "Address of a Redis or Valkey of your own, as env:NAME or a Pulumi secret; the hosts carry one as the preset says when left out.",
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
