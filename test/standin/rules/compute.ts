import { textAt } from "../world.ts";
import { addressIn, INTERFACE, interfaceOf, isCutOff, PRIMARY, subnetIdOf } from "./interfaces.ts";
import { keyRef } from "./keys-logs.ts";
import { arnOf, ec2Id, exclusive, need, oneOf, present, ref } from "./parts.ts";
import { groupNeed } from "./security-groups.ts";
import type { Rules } from "./types.ts";

const SUBNET = "aws:ec2/subnet:Subnet";
const PROFILE = "aws:iam/instanceProfile:InstanceProfile";
export const INSTANCE = "aws:ec2/instance:Instance";
export const TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate";
const VOLUME = "aws:ebs/volume:Volume";

export const COMPUTE: Rules = {
  [INSTANCE]: {
    source: "ec2/ec2_instance.go",
    id: ec2Id("i"),
    replaces: [
      "ami",
      "associatePublicIpAddress",
      "availabilityZone",
      "ebsBlockDevices",
      "enclaveOptions",
      "ephemeralBlockDevices",
      "hibernation",
      "keyName",
      "networkInterfaces",
      "placementPartitionNumber",
      "primaryNetworkInterface",
      "privateIp",
      "subnetId",
      "rootBlockDevice.encrypted",
      "rootBlockDevice.kmsKeyId",
    ],
    guard: "disableApiTermination",
    values: {
      ami: /^ami-[0-9a-f]{8,17}$/,
      instanceType: /^[a-z][a-z0-9-]*\.[a-z0-9-]+$/,
      "metadataOptions.httpTokens": ["optional", "required"],
      "metadataOptions.httpEndpoint": ["enabled", "disabled"],
      "metadataOptions.httpPutResponseHopLimit": [1, 64],
      "rootBlockDevice.volumeType": ["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"],
    },
    faults: (i) => [
      oneOf(i, "ami", "launchTemplate"),
      oneOf(i, "instanceType", "launchTemplate"),
      exclusive(i, "userData", "userDataBase64"),
      // They are the interface's.
      ...[
        "associatePublicIpAddress",
        "ipv6AddressCount",
        "ipv6Addresses",
        "networkInterfaces",
        "privateIp",
        "secondaryPrivateIps",
        "securityGroups",
        "sourceDestCheck",
        "subnetId",
        "vpcSecurityGroupIds",
      ].map((other) => exclusive(i, "primaryNetworkInterface", other)),
      typeof i.userData === "string" && i.userData.length > 16_384
        ? "userData is over 16 KiB"
        : null,
      typeof i.userDataBase64 === "string" && i.userDataBase64.length > 21_848
        ? "userDataBase64 is over 16 KiB"
        : null,
    ],
    unique: [["primaryNetworkInterface"]],
    needs: [
      ref("subnetId", SUBNET),
      ref(PRIMARY, INTERFACE),
      groupNeed("vpcSecurityGroupIds[]"),
      ref("iamInstanceProfile", PROFILE),
      keyRef("rootBlockDevice.kmsKeyId"),
      ref("launchTemplate.id", TEMPLATE),
      need(
        "an instance's subnet has a way out",
        (row, world) => {
          const subnetId = subnetIdOf(row, world);
          const association = world.find(
            "aws:ec2/routeTableAssociation:RouteTableAssociation",
            "subnetId",
            subnetId,
          );
          return association
            ? null
            : `subnet ${subnetId} has no route table: the instance starts without network`;
        },
        ["create"],
      ),
      need(
        "an instance has an address that its subnet's way out takes",
        (row, world) =>
          row.inputs.associatePublicIpAddress !== true && isCutOff(row, world)
            ? `${textAt(row.inputs, PRIMARY) ?? "its interface"} has no public address, and its subnet no NAT: the instance starts without network`
            : null,
        ["create"],
      ),
    ],
    computed: (made, id) => ({
      arn: arnOf(made, "ec2", `instance/${id}`),
      privateIp:
        interfaceOf(made, made.world)?.state.privateIp ?? made.inputs.privateIp ?? addressIn(made),
      privateDns: `ip-10-0-0-${made.number(250)}.${made.scope.region}.compute.internal`,
      publicIp:
        made.inputs.associatePublicIpAddress === true ? `198.51.100.${made.number(250)}` : "",
      primaryNetworkInterfaceId: textAt(made.inputs, PRIMARY) ?? `eni-0${made.hex(16)}`,
      instanceState: "running",
      availabilityZone:
        made.inputs.availabilityZone ??
        made.world.find(SUBNET, "id", subnetIdOf(made, made.world))?.state.availabilityZone ??
        "",
    }),
  },
  [TEMPLATE]: {
    source: "ec2/ec2_launch_template.go",
    id: ec2Id("lt"),
    name: { property: "name", max: 125, pattern: /^[\w().\-/]{3,}$/ },
    replaces: ["name", "namePrefix"],
    faults: (i) => [exclusive(i, "securityGroupNames", "vpcSecurityGroupIds")],
    values: {
      "metadataOptions.httpTokens": ["optional", "required"],
      "tagSpecifications[].resourceType": [
        "instance",
        "volume",
        "network-interface",
        "spot-instances-request",
      ],
    },
    needs: [
      groupNeed("vpcSecurityGroupIds[]"),
      keyRef("blockDeviceMappings[].ebs.kmsKeyId"),
      ref("iamInstanceProfile.name", PROFILE),
    ],
    computed: (made, id) => ({
      arn: arnOf(made, "ec2", `launch-template/${id}`),
      latestVersion: 1,
      defaultVersion: 1,
    }),
  },
  [VOLUME]: {
    source: "ec2/ebs_volume.go@0073593e",
    id: ec2Id("vol"),
    replaces: [
      "availabilityZone",
      "encrypted",
      "kmsKeyId",
      "multiAttachEnabled",
      "outpostArn",
      "snapshotId",
    ],
    grows: ["size"],
    values: {
      type: ["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"],
      iops: [100, 256_000],
      throughput: [125, 2_000],
    },
    faults: (i) => [
      oneOf(i, "size", "snapshotId"),
      present(i.throughput) && i.type !== "gp3" ? "throughput goes with gp3 only" : null,
      present(i.kmsKeyId) && i.encrypted !== true ? "kmsKeyId needs encrypted" : null,
    ],
    needs: [keyRef("kmsKeyId")],
    computed: (made, id) => ({
      arn: arnOf(made, "ec2", `volume/${id}`),
      createTime: "2026-11-21T00:00:00Z",
    }),
    refusesDelete: (row, world) =>
      world.find("aws:ec2/volumeAttachment:VolumeAttachment", "volumeId", row.id)
        ? "VolumeInUse: it is attached"
        : null,
    leaves: (row, _, when) =>
      when === "delete" && row.inputs.finalSnapshot === true
        ? [{ kind: "volume snapshot", name: row.id }]
        : [],
  },
  "aws:ec2/volumeAttachment:VolumeAttachment": {
    source: "ec2/ebs_volume_attachment.go",
    id: (made) => `vai-${made.number(4_000_000_000)}`,
    replaces: ["deviceName", "instanceId", "volumeId"],
    unique: [["volumeId"], ["instanceId", "deviceName"]],
    needs: [
      ref("instanceId", INSTANCE),
      ref("volumeId", VOLUME),
      need("volume and instance are in one zone", (row, world) => {
        const volume = world.find(VOLUME, "id", row.inputs.volumeId)?.inputs.availabilityZone;
        const instance = world.find(INSTANCE, "id", row.inputs.instanceId)?.state.availabilityZone;
        return !volume || volume === instance
          ? null
          : `InvalidVolume.ZoneMismatch: ${volume} and ${instance}`;
      }),
    ],
  },
  "aws:ec2/placementGroup:PlacementGroup": {
    source: "ec2/ec2_placement_group.go",
    id: (made) => String(made.inputs.name),
    name: { property: "name", max: 255 },
    replaces: ["name", "partitionCount", "spreadLevel", "strategy"],
    values: { strategy: ["cluster", "partition", "spread"] },
    computed: (made, id) => ({ arn: arnOf(made, "ec2", `placement-group/${id}`) }),
  },
  "aws:ec2/keyPair:KeyPair": {
    source: "ec2/ec2_key_pair.go",
    id: (made) => String(made.inputs.keyName),
    name: { property: "keyName", max: 255 },
    replaces: ["keyName", "keyNamePrefix", "publicKey"],
    computed: (made, id) => ({ arn: arnOf(made, "ec2", `key-pair/${id}`) }),
  },
  "aws:ec2/tag:Tag": {
    source: "ec2/tag.go",
    id: (made) => `${made.inputs.resourceId},${made.inputs.key}`,
    replaces: ["key", "resourceId"],
    unique: [["resourceId", "key"]],
  },
  "aws:autoscaling/group:Group": {
    source: "autoscaling/group.go",
    id: (made) => String(made.inputs.name),
    name: { property: "name", max: 255 },
    replaces: ["name", "namePrefix"],
    needs: [ref("vpcZoneIdentifiers[]", SUBNET), ref("launchTemplate.id", TEMPLATE)],
    computed: (made, id) => ({
      arn: arnOf(
        made,
        "autoscaling",
        `autoScalingGroup:${made.hex(32)}:autoScalingGroupName/${id}`,
      ),
    }),
  },
};
