import {
  FLEET_TAG,
  KUBERNETES_UNTIL,
  POSTGRES_UNTIL,
  type SupportTable,
  VALKEY_UNTIL,
} from "./catalog.ts";
import { is, refuseUnless, waitUnless } from "./judge.ts";
import { factsOf, type Policy } from "./policy.ts";
import { at, entries, items, read, shown, UNKNOWN } from "./read.ts";
import { meta, TYPE } from "./resources.ts";

const EXACT = /^v?\d+\.\d+\.\d+([-+][\w.-]+)?$/;

export const pinnedCharts: Policy = {
  id: "hygiene-pinned-charts",
  sentence: "Charts come at one version from a named repository over TLS.",
  severity: "blocking",
  setting: "",
  fix: "name chart, an exact version and repositoryOpts.repo, as components/charts.ts has them",
  unknown: "Refused: nothing generates these.",
  validateResource({ type, props }, report) {
    if (type !== TYPE.release && !/^kubernetes:helm\.sh\/v[34]:Chart$/.test(type)) return;
    const fields = read(props);
    refuseUnless(report, "version", at(fields, "version"), (v) => EXACT.test(`${String(v)}`));
    const oci = `${String(at(fields, "chart"))}`.startsWith("oci://");
    if (oci) return;
    const secure = (repo: unknown) => /^(https|oci):\/\//.test(`${String(repo)}`);
    refuseUnless(report, "repositoryOpts.repo", at(fields, "repositoryOpts", "repo"), secure);
  },
};

/** Engines whose versions end, by type: where the version stands, and the table of their ends. */
const ENGINES: Readonly<
  Record<string, { readonly engine: string; readonly field: string; readonly until: SupportTable }>
> = {
  [TYPE.cluster]: { engine: "Kubernetes", field: "version", until: KUBERNETES_UNTIL },
  [TYPE.database]: { engine: "PostgreSQL", field: "engineVersion", until: POSTGRES_UNTIL },
  [TYPE.cache]: { engine: "Valkey", field: "engineVersion", until: VALKEY_UNTIL },
};

/** End of a version's support: by its full name, or its major's. Undefined: not in the table. */
function endOf(until: SupportTable, version: string): string | null | undefined {
  const [major, minor] = version.split(".");
  const key = [version, `${major}.${minor}`, `${major}`].find((one) => Object.hasOwn(until, one));
  return key === undefined ? undefined : until[key];
}

export const engineSupport: Policy = {
  id: "hygiene-engine-support",
  sentence: "Engines run at a version that is in standard support today.",
  severity: "blocking",
  setting: "cluster.version",
  fix: "move to a newer version, one minor of Kubernetes at a time",
  unknown: "Refused: a version is never generated.",
  validateResource(args, report) {
    const known = ENGINES[args.type];
    if (!known) return;
    const version = at(read(args.props), known.field);
    if (typeof version !== "string")
      return report(`the version of ${known.engine} is ${shown(version)}`);
    const end = endOf(known.until, version);
    if (end === undefined)
      report(`${known.engine} ${version} is not in the table of policies/catalog.ts`);
    else if (end !== null && end < factsOf(args).today)
      report(`standard support of ${known.engine} ${version} ended on ${end}`);
  },
};

/** Days before an end at which it is said. */
const NOTICE_DAYS = 120;
const DAY_MS = 86_400_000;

export const engineEnding: Policy = {
  id: "hygiene-engine-ending",
  sentence: `Support of an engine lasts for ${NOTICE_DAYS} days more.`,
  severity: "advisory",
  setting: "cluster.version",
  fix: "plan the move to a newer version",
  unknown: "Said by hygiene-engine-support.",
  validateResource(args, report) {
    const known = ENGINES[args.type];
    const version = known && at(read(args.props), known.field);
    if (!known || typeof version !== "string") return;
    const end = endOf(known.until, version);
    const days = end ? (Date.parse(end) - Date.parse(factsOf(args).today)) / DAY_MS : Infinity;
    if (days >= 0 && days < NOTICE_DAYS)
      report(
        `standard support of ${known.engine} ${version} ends on ${end}, in ${Math.floor(days)} days`,
      );
  },
};

export const defaultVpc: Policy = {
  id: "hygiene-default-vpc",
  sentence: "Nothing stands in a network that AWS made by itself.",
  severity: "mandatory",
  setting: "network",
  fix: "use the fleet's own network, or adopt one by its ids; the default security group stays empty",
  unknown: "Rules that are not known are refused in the default security group.",
  validateResource({ type, props }, report) {
    if (/^aws:ec2\/default(Vpc|Subnet|RouteTable|VpcDhcpOptions)/.test(type))
      report(`a ${type.split(":").at(-1)}`);
    if (type !== "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup") return;
    const fields = read(props);
    for (const way of ["ingress", "egress"])
      if (items(at(fields, way)).length > 0) report(`the default security group has ${way} rules`);
  },
};

/** Shapes of credentials that providers print. */
const CREDENTIALS: Readonly<Record<string, RegExp>> = {
  "an AWS access key": /\b(AKIA|ASIA)[0-9A-Z]{16}\b/,
  "a private key": /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  "a GitHub token": /\bgh[pousr]_[A-Za-z0-9]{30,}\b|\bgithub_pat_\w{50,}/,
  "a Slack token": /\bxox[abeprs]-[A-Za-z0-9-]{10,}/,
  "a key of a model provider": /\bsk-(ant-|proj-|or-)?[A-Za-z0-9_-]{20,}/,
  "a Google key": /\bAIza[0-9A-Za-z_-]{35}\b/,
  "a Telegram bot's token": /\b\d{8,10}:AA[A-Za-z0-9_-]{32,}/,
  "a Stripe key": /\b[rs]k_live_[A-Za-z0-9]{20,}/,
  "a web token": /\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{10,}/,
};

/** Inputs that are stored and shown in the open, by type. */
const OPEN_INPUTS: Readonly<Record<string, readonly string[]>> = {
  "kubernetes:core/v1:ConfigMap": ["data"],
  [TYPE.release]: ["values"],
  [TYPE.instance]: ["userData"],
  [TYPE.launchTemplate]: ["userData"],
  "aws:ssm/parameter:Parameter": ["value"],
};

/** Credentials in a value, each with where it stands. Never the value itself. */
export function credentialsIn(value: unknown, where: string): string[] {
  if (typeof value === "string") {
    const decoded = /^[A-Za-z0-9+/=\s]{40,}$/.test(value)
      ? Buffer.from(value, "base64").toString()
      : "";
    return Object.entries(CREDENTIALS)
      .filter(([, shape]) => shape.test(value) || shape.test(decoded))
      .map(([kind]) => `${kind} in ${where}`);
  }
  const inner = Array.isArray(value)
    ? value.map((one, i) => [`${where}[${i}]`, one] as const)
    : entries(value).map(([key, one]) => [where ? `${where}.${key}` : key, one] as const);
  return inner.flatMap(([path, one]) => credentialsIn(one, path));
}

/** Names of settings and values that hold a secret. */
const SECRET_NAME =
  /(^|\.)(apiKey|api_key|token|botToken|appToken|password|secret|signingSecret|privateKey|client|admin)(\[\d+\])?$/i;

export const plainSecrets: Policy = {
  id: "hygiene-plain-secret",
  sentence: "No secret lies open: not in the stack's file, not in what a cluster or machine shows.",
  severity: "mandatory",
  setting: "",
  fix: "store it with `./fleet pulumi config set --secret --path`, or name it as env:NAME or a Secret",
  unknown: "Values that are not known wait for up, where they are judged before they are written.",
  validateResource(args, report) {
    if (args.type === "pulumi:pulumi:Stack") {
      const open = factsOf(args).openSettings;
      const found = new Set(credentialsIn(open, ""));
      for (const one of namedSecrets(open, "")) found.add(one);
      for (const one of found) report(one);
      return;
    }
    const fields = read(args.props);
    for (const input of OPEN_INPUTS[args.type] ?? []) {
      const value = at(fields, input);
      if (value === UNKNOWN) factsOf(args).waits(input);
      else for (const found of credentialsIn(value, input)) report(found);
    }
  },
};

/** Settings whose name says secret and whose value is text of its own. */
function namedSecrets(value: unknown, where: string): string[] {
  if (typeof value === "string")
    return SECRET_NAME.test(where) && !/^env:|^\$\{|^$/.test(value) && value.length >= 12
      ? [`a value in the open at ${where}`]
      : [];
  const inner = Array.isArray(value)
    ? value.map((one, i) => [`${where}[${i}]`, one] as const)
    : entries(value).map(([key, one]) => [where ? `${where}.${key}` : key, one] as const);
  return inner.flatMap(([path, one]) => namedSecrets(one, path));
}

/** Physical names that a person wrote: they must tell fleets of one account apart. */
const NAMED_BY: Readonly<Record<string, string>> = {
  [TYPE.cluster]: "name",
  [TYPE.database]: "identifier",
  [TYPE.bucket]: "bucket",
  "aws:elasticache/user:User": "userId",
  "aws:elasticache/userGroup:UserGroup": "userGroupId",
  "aws:rds/proxy:Proxy": "name",
  "aws:kms/alias:Alias": "name",
  "aws:sqs/queue:Queue": "name",
  "aws:cloudwatch/logGroup:LogGroup": "name",
  [TYPE.role]: "name",
};

export const names: Policy = {
  id: "hygiene-names",
  sentence: "Names and tags on AWS carry the stack: fleets of one account never meet.",
  severity: "blocking",
  setting: "",
  fix: "begin the logical name with the stack's, and use it in every name that is written out",
  unknown: "A written name that is not known waits for up.",
  validateResource(args, report) {
    const { type, name, props } = args;
    if (!type.startsWith("aws:")) return;
    const { stack } = factsOf(args);
    if (!name.startsWith(`${stack}-`))
      report(`the logical name ${name} does not begin with ${stack}-`);
    const fields = read(props);
    const field = NAMED_BY[type];
    const written = field && at(fields, field);
    if (field && written !== undefined)
      waitUnless(args, report, field, written, (text) => `${String(text)}`.includes(stack));
    const tag = at(fields, "tags", FLEET_TAG);
    if (tag !== undefined) refuseUnless(report, `tags.${FLEET_TAG}`, tag, is(stack));
  },
};

export const systemNamespace: Policy = {
  id: "hygiene-namespaces",
  sentence: "Objects of ours stay out of the namespaces default and kube-public.",
  severity: "blocking",
  setting: "",
  fix: "give it one of the fleet's namespaces",
  unknown: "A namespace that is not known is one of ours: those of Kubernetes are written out.",
  validateResource({ type, props }, report) {
    if (
      !/^kubernetes:(core|apps|batch)\/v1:(Pod|Service|ConfigMap|Secret|Deployment|StatefulSet|DaemonSet|Job|CronJob|PersistentVolumeClaim)$/.test(
        type,
      )
    )
      return;
    const space = meta(read(props), "namespace");
    if (space === undefined || space === "default" || space === "kube-public")
      report(`metadata.namespace is ${shown(space)}`);
  },
};

export const HYGIENE: readonly Policy[] = [
  pinnedCharts,
  engineSupport,
  engineEnding,
  defaultVpc,
  plainSecrets,
  names,
  systemNamespace,
];
