import type { PricedBy, PriceTable } from "../cost.ts";

/**
 * Engine of the database. A major version alone: AWS picks the minor one and upgrades it, and the
 * provider takes that for the same. Checked 2026-11-21: docs.aws.amazon.com/AmazonRDS/latest/PostgreSQLReleaseNotes.
 */
export const POSTGRES = { engine: "postgres", version: "18", family: "postgres18" } as const;

export const DATABASE_PORT = 5432;
/** The database that is made with the instance; extensions are created in it by their first user. */
export const DATABASE_NAME = "openclaw";
/** Master user; `admin` and `rdsadmin` are reserved. */
export const DATABASE_USER = "fleet";

/** An instance class. */
export interface DatabaseClass {
  readonly type: string;
  readonly memoryGiB: number;
  readonly vcpus: number;
}

/** Graviton classes, small to large. Source: docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Summary.html, 2026-11-21. */
export const DATABASE_CLASSES: readonly DatabaseClass[] = [
  { type: "db.t4g.micro", memoryGiB: 1, vcpus: 2 },
  { type: "db.t4g.small", memoryGiB: 2, vcpus: 2 },
  { type: "db.t4g.medium", memoryGiB: 4, vcpus: 2 },
  { type: "db.m7g.large", memoryGiB: 8, vcpus: 2 },
  { type: "db.m7g.xlarge", memoryGiB: 16, vcpus: 4 },
  { type: "db.m7g.2xlarge", memoryGiB: 32, vcpus: 8 },
  { type: "db.r7g.2xlarge", memoryGiB: 64, vcpus: 8 },
];

/**
 * RDS's own `max_connections`: LEAST(DBInstanceClassMemory / 9531392, 5000). What the formula calls the
 * class's memory is less than the class's, by what the operating system takes; a quarter is kept for that.
 * Source: docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html#RDS_Limits.MaxConnections.
 */
export const CONNECTION_BYTES = 9_531_392;
export const MAX_CONNECTIONS = 5000;
export const SYSTEM_MEMORY_PERCENT = 25;

/** Gibibytes of a gp3 volume. Source: docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html. */
export const STORAGE_GIB = { min: 20, max: 65_536 } as const;
/** AWS grows a full volume by itself up to so many times its planned size. */
export const STORAGE_GROWTH = 5;
/** Days of automatic backups that RDS allows. */
export const MAX_BACKUP_DAYS = 35;
/** Longest identifier of an instance or proxy. */
export const DATABASE_ID_MAX = 63;

/** Connections from which a proxy stands before the database. */
export const PROXY_FROM_CONNECTIONS = 300;

/** An engine that RDS Proxy works with. */
export interface ProxyPair {
  readonly major: string;
  /** Whether AWS's list was seen to hold it; otherwise why it is taken to. */
  readonly seen: boolean;
  readonly note?: string;
}

/**
 * Majors of PostgreSQL behind RDS Proxy; any other is refused. Source:
 * docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.RDS_Fea_Regions_DB-eng.Feature.RDSProxy.html.
 */
export const PROXY_PAIRS: { readonly date: string; readonly pairs: readonly ProxyPair[] } = {
  date: "2026-11-21",
  pairs: [
    { major: "15", seen: true },
    { major: "16", seen: true },
    { major: "17", seen: true },
    {
      major: "18",
      seen: false,
      note: "AWS's list of engines for RDS Proxy was not seen to hold PostgreSQL 18; look before the first deploy, or set database.proxy to false",
    },
  ],
};

/** vCPUs that a proxy is billed for at least. Source: aws.amazon.com/rds/proxy/pricing. */
export const PROXY_MIN_VCPUS = 2;
/** Part of the storage that changes a day, percent: what backups beyond the free size hold. An assumption. */
export const DAILY_CHANGE_PERCENT = 5;
/** Log of one user in a month, GB. An assumption: slow statements and errors alone are logged. */
export const LOG_GB_PER_USER = 0.001;

export type DatabasePrice =
  | "db.t4g.micro"
  | "db.t4g.small"
  | "db.t4g.medium"
  | "db.m7g.large"
  | "db.m7g.xlarge"
  | "db.m7g.2xlarge"
  | "db.r7g.2xlarge"
  | "storageGbMonth"
  | "backupGbMonth"
  | "proxyVcpuHour"
  | "secretMonth"
  | "logGb";

/** Classes by the hour in one zone, on demand; two zones cost twice, storage as well. */
export const DATABASE_PRICES: PriceTable<DatabasePrice> = {
  date: "2026-11-21",
  source:
    "aws.amazon.com/rds/postgresql/pricing, aws.amazon.com/rds/proxy/pricing, aws.amazon.com/cloudwatch/pricing; from memory, to be checked",
  regions: {
    "us-east-1": {
      "db.t4g.micro": 0.016,
      "db.t4g.small": 0.032,
      "db.t4g.medium": 0.065,
      "db.m7g.large": 0.168,
      "db.m7g.xlarge": 0.337,
      "db.m7g.2xlarge": 0.674,
      "db.r7g.2xlarge": 0.956,
      storageGbMonth: 0.115,
      backupGbMonth: 0.095,
      proxyVcpuHour: 0.015,
      secretMonth: 0.4,
      logGb: 0.5,
    },
    "eu-central-1": {
      "db.t4g.micro": 0.019,
      "db.t4g.small": 0.038,
      "db.t4g.medium": 0.076,
      "db.m7g.large": 0.2,
      "db.m7g.xlarge": 0.4,
      "db.m7g.2xlarge": 0.8,
      "db.r7g.2xlarge": 1.144,
      storageGbMonth: 0.137,
      backupGbMonth: 0.103,
      proxyVcpuHour: 0.018,
      secretMonth: 0.4,
      logGb: 0.63,
    },
    "eu-west-1": {
      "db.t4g.micro": 0.017,
      "db.t4g.small": 0.035,
      "db.t4g.medium": 0.07,
      "db.m7g.large": 0.186,
      "db.m7g.xlarge": 0.372,
      "db.m7g.2xlarge": 0.744,
      "db.r7g.2xlarge": 1.06,
      storageGbMonth: 0.127,
      backupGbMonth: 0.095,
      proxyVcpuHour: 0.0165,
      secretMonth: 0.4,
      logGb: 0.57,
    },
  },
};

/** Names of the tier's cost lines. */
export const DATABASE_LINES = {
  instance: "database instance hours",
  storage: "database storage",
  backups: "database backups beyond the free size",
  proxy: "RDS Proxy vCPU hours",
  secret: "database secret",
  logs: "database logs taken in",
} as const;

const FREE = { free: "AWS does not charge for it" };

/** How every type of resource that the component makes is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "aws:rds/instance:Instance": {
    lines: [
      DATABASE_LINES.instance,
      DATABASE_LINES.storage,
      DATABASE_LINES.backups,
      DATABASE_LINES.secret, // the master user's, which RDS makes
    ],
  },
  "aws:rds/proxy:Proxy": { lines: [DATABASE_LINES.proxy] },
  "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": { free: "paid for with its proxy" },
  "aws:rds/proxyTarget:ProxyTarget": { free: "paid for with its proxy" },
  "aws:cloudwatch/logGroup:LogGroup": { lines: [DATABASE_LINES.logs] },
  "aws:rds/subnetGroup:SubnetGroup": FREE,
  "aws:rds/parameterGroup:ParameterGroup": FREE,
  "aws:iam/role:Role": FREE,
  "aws:iam/rolePolicy:RolePolicy": FREE,
  "aws:ec2/securityGroup:SecurityGroup": FREE,
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": FREE,
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": FREE,
  "random:index/randomId:RandomId": { free: "made by Pulumi, kept in its state" },
};
