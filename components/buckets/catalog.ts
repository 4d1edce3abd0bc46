import type { PricedBy, PriceTable } from "../cost.ts";

/** Buckets, by what is in them. */
export const BUCKETS = ["replicas", "chat-logs", "access-logs"] as const;
export type BucketRole = (typeof BUCKETS)[number];

/** Service that delivers the access logs of balancers. */
export const LOG_DELIVERY = "logdelivery.elasticloadbalancing.amazonaws.com";

/**
 * Accounts of Elastic Load Balancing, which delivered the logs before the service had a name of its own:
 * regions opened since August 2022 have none. AWS documents the service for all regions by now; where
 * an account is listed both may write. Source: docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
 * and terraform-provider-aws, internal/service/elb/service_account_data_source.go at 01f4311, 2026-11-21.
 */
export const BALANCER_ACCOUNTS: Readonly<Record<string, string>> = {
  "af-south-1": "098369216593",
  "ap-east-1": "754344448648",
  "ap-northeast-1": "582318560864",
  "ap-northeast-2": "600734575887",
  "ap-northeast-3": "383597477331",
  "ap-south-1": "718504428378",
  "ap-southeast-1": "114774131450",
  "ap-southeast-2": "783225319266",
  "ap-southeast-3": "589379963580",
  "ca-central-1": "985666609251",
  "cn-north-1": "638102146993",
  "cn-northwest-1": "037604701340",
  "eu-central-1": "054676820928",
  "eu-north-1": "897822967062",
  "eu-south-1": "635631232127",
  "eu-west-1": "156460612806",
  "eu-west-2": "652711504416",
  "eu-west-3": "009996457667",
  "me-south-1": "076674570225",
  "sa-east-1": "507241528517",
  "us-east-1": "127311923021",
  "us-east-2": "033677994240",
  "us-gov-east-1": "190560391635",
  "us-gov-west-1": "048591011584",
  "us-west-1": "027434742980",
  "us-west-2": "797873946194",
};

/**
 * Days that S3 bills an archive class for at least. Source:
 * docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html, 2026-11-21.
 */
export const LEAST_DAYS = { GLACIER_IR: 90, DEEP_ARCHIVE: 180 } as const;

/** Days after which parts of an upload that was never finished are deleted. */
export const ABORT_DAYS = 1;

/** Days of object lock that S3 takes. */
export const MAX_LOCK_DAYS = 36_500;

/**
 * PUTs of replication that one turn makes: about ten seconds of writing, each with one manifest and two
 * chunks. An assumption of the cost alone.
 */
export const PUTS_PER_TURN = 30;
/** Points in time and old versions kept of a shard's state, as a multiple of its disk. An assumption. */
export const REPLICA_FACTOR = 3;
/** Balancer's log of a turn, packed, GB. An assumption. */
export const ACCESS_LOG_GB_PER_TURN = 1e-6;
/** Chat logs are written as one object a shard and hour. */
export const CHAT_LOG_OBJECTS_PER_SHARD = 730;

export type BucketsPrice =
  | "gbMonth"
  | "archiveGbMonth"
  | "deepGbMonth"
  | "thousandPuts"
  | "thousandMoves"
  | "thousandDeepMoves";

export const BUCKETS_PRICES: PriceTable<BucketsPrice> = {
  date: "2026-11-21",
  source: "aws.amazon.com/s3/pricing; from memory, to be checked",
  regions: {
    "us-east-1": {
      gbMonth: 0.023,
      archiveGbMonth: 0.004,
      deepGbMonth: 0.00099,
      thousandPuts: 0.005,
      thousandMoves: 0.02,
      thousandDeepMoves: 0.05,
    },
    "eu-central-1": {
      gbMonth: 0.0245,
      archiveGbMonth: 0.005,
      deepGbMonth: 0.0018,
      thousandPuts: 0.0054,
      thousandMoves: 0.02,
      thousandDeepMoves: 0.06,
    },
    "eu-west-1": {
      gbMonth: 0.023,
      archiveGbMonth: 0.005,
      deepGbMonth: 0.00099,
      thousandPuts: 0.005,
      thousandMoves: 0.02,
      thousandDeepMoves: 0.05,
    },
  },
};

/** Names of the tier's cost lines. */
export const BUCKETS_LINES = {
  replicas: "replicas stored",
  puts: "PUTs of replication",
  hot: "chat logs stored, hot",
  archive: "chat logs stored, archived",
  deep: "chat logs stored, deep archive",
  moves: "chat logs moved to the archive",
  deepMoves: "chat logs moved to the deep archive",
  access: "access logs stored",
} as const;

const FREE = { free: "AWS does not charge for it" };

/** How every type of resource that the component makes is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "aws:s3/bucket:Bucket": {
    lines: [
      BUCKETS_LINES.replicas,
      BUCKETS_LINES.puts,
      BUCKETS_LINES.hot,
      BUCKETS_LINES.archive,
      BUCKETS_LINES.deep,
      BUCKETS_LINES.access,
    ],
  },
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
    lines: [BUCKETS_LINES.moves, BUCKETS_LINES.deepMoves],
  },
  "aws:s3/bucketVersioning:BucketVersioning": { free: "old versions are counted as stored" },
  "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": FREE,
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls": FREE,
  "aws:s3/bucketPolicy:BucketPolicy": FREE,
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": FREE,
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": FREE,
};
