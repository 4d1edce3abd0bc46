import { SERVICE_ROLE_FACTS } from "../../../stacks/aws/preflight/catalog.ts";
import type { Computed, Lookups } from "../../support/pulumi-mocks.ts";

const SERVICE_ROLES = Object.values(SERVICE_ROLE_FACTS).map(({ role }) => role as string);

/** What every made password is. */
const PASSWORD = "p".repeat(48);

/** What an account in use answers to every lookup of a stack. */
export const LOOKUPS: Lookups = {
  "aws:index/getCallerIdentity:getCallerIdentity": () => ({
    accountId: "123456789012",
    arn: "arn:aws:sts::123456789012:assumed-role/deployer/ci",
    id: "123456789012",
    userId: "AROAEXAMPLE:ci",
  }),
  "aws:iam/getSessionContext:getSessionContext": ({ arn }) => ({
    arn,
    issuerArn: "arn:aws:iam::123456789012:role/deployer",
  }),
  "aws:iam/getRoles:getRoles": ({ pathPrefix, nameRegex }) => {
    const wanted = new RegExp(String(nameRegex ?? ""));
    const names = SERVICE_ROLES.filter((name) => wanted.test(name));
    return {
      arns: names.map((name) => `arn:aws:iam::123456789012:role${pathPrefix}${name}`),
      names,
      id: "roles",
    };
  },
  "aws:servicequotas/getServiceQuota:getServiceQuota": () => ({ value: 1_000 }),
  "aws:ec2/getVpcs:getVpcs": () => ({ ids: [] }),
  "aws:ec2/getEips:getEips": () => ({ allocationIds: [] }),
  "aws:ec2/getNatGateways:getNatGateways": () => ({ ids: [] }),
  "aws:ec2/getInstances:getInstances": () => ({ ids: [] }),
  "aws:lb/getLbs:getLbs": () => ({ arns: [] }),
  "aws:rds/getInstances:getInstances": () => ({ instanceIdentifiers: [] }),
  "aws:eks/getClusters:getClusters": () => ({ names: [] }),
  "aws:index/getAvailabilityZones:getAvailabilityZones": () => ({
    id: "eu-central-1",
    names: ["eu-central-1a", "eu-central-1b", "eu-central-1c"],
    zoneIds: ["euc1-az2", "euc1-az3", "euc1-az1"],
    groupNames: [],
  }),
  "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": () => ({
    id: "offerings",
    instanceTypes: [],
    locations: ["euc1-az1", "euc1-az2", "euc1-az3"],
    locationTypes: [],
  }),
  "aws:route53/getZone:getZone": ({ name }) => ({
    zoneId: "Z0123456789ABCDEFGHIJ",
    name: `${name}.`,
    nameServers: ["ns-1.example.net", "ns-2.example.net"],
    privateZone: false,
    id: "Z0123456789ABCDEFGHIJ",
  }),
  "aws:secretsmanager/getSecretVersion:getSecretVersion": ({ secretId }) => ({
    id: String(secretId),
    secretString: JSON.stringify({
      url: `rediss://runtime:${PASSWORD}@team-cache-valkey.cache.example.com:6379`,
    }),
  }),
  "aws:ssm/getParameter:getParameter": ({ name }) => ({
    id: String(name),
    name,
    arn: `arn:aws:ssm:eu-central-1::parameter${name}`,
    type: "String",
    value: "ami-0123456789abcdef0",
    insecureValue: "ami-0123456789abcdef0",
    version: 1,
  }),
};

/** What AWS adds to what is made, where programs read it. */
export const COMPUTED: Computed = {
  "pulumi:pulumi:StackReference": () => ({ outputs: {}, secretOutputNames: [] }),
  "aws:acm/certificate:Certificate": ({ domainName }) => ({
    domainValidationOptions: [
      {
        domainName,
        resourceRecordName: `_1.${domainName}.`,
        resourceRecordType: "CNAME",
        resourceRecordValue: "_2.acm-validations.aws.",
      },
    ],
  }),
  "random:index/randomPassword:RandomPassword": () => ({ result: PASSWORD }),
  "aws:rds/instance:Instance": (_, name) => ({
    address: `${name}.rds.example.com`,
    masterUserSecrets: [{ secretArn: `arn:aws:secretsmanager:::secret:${name}` }],
  }),
  "aws:rds/proxy:Proxy": (_, name) => ({ endpoint: `${name}.proxy.example.com` }),
  "aws:elasticache/replicationGroup:ReplicationGroup": (_, name) => ({
    configurationEndpointAddress: `${name}.cache.example.com`,
    primaryEndpointAddress: `${name}.cache.example.com`,
  }),
  "aws:lb/loadBalancer:LoadBalancer": (_, name) => ({
    dnsName: `${name}.elb.example.com`,
    zoneId: "Z215JYRZR1TBD5",
  }),
  "aws:lb/targetGroup:TargetGroup": (_, name) => ({ name }),
  "aws:ec2/eip:Eip": (_, name) => ({ publicIp: "203.0.113.9", allocationId: `${name}-id` }),
  // Neighbours in the alphabet are neighbours in the subnet.
  "aws:ec2/networkInterface:NetworkInterface": (_, name) => ({
    privateIp: `10.64.0.${10 + ([...name].reduce((sum, each) => sum + each.charCodeAt(0), 0) % 200)}`,
  }),
  "openclaw:host:Credentials": () => ({
    secrets: { "token.client": "c".repeat(43), "token.admin": "a".repeat(43) },
    caCertificate: "the fleet's authority",
    expires: {},
  }),
  "aws:ec2/instance:Instance": ({ instanceType }) => ({
    privateIp: "10.64.0.9",
    availabilityZone: "eu-central-1a",
    instanceType,
  }),
  "aws:s3/bucket:Bucket": (_, name) => ({ bucket: name }),
  "aws:iam/role:Role": (_, name) => ({ name }),
  "kubernetes:storage.k8s.io/v1:StorageClass": () => ({ metadata: { name: "gp3" } }),
  "aws:eks/cluster:Cluster": (_, name) => ({
    endpoint: `https://${name}.eks.example.com`,
    certificateAuthority: { data: "Q0E=" },
    vpcConfig: { clusterSecurityGroupId: "sg-0123456789abcdef0" },
  }),
};
