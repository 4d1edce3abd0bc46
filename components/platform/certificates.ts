import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { FLEET_CA, NAMESPACES } from "./catalog.ts";

/** Days a CA lives, and days before its end at which the next one is made. */
const CA_DAYS = 3650;
const CA_RENEW_DAYS = 365;

/**
 * The fleet's own CA, and the Issuer through which nodes get certificates from it. Its key is made
 * in the cluster and leaves it nowhere; a new cluster has a new CA.
 */
export function fleetCa(
  name: string,
  fleet: string,
  opts: pulumi.CustomResourceOptions,
): pulumi.Resource {
  const { CustomResource } = k8s.apiextensions;
  const apiVersion = "cert-manager.io/v1";
  const selfSigned = new CustomResource(
    `${name}-self-signed`,
    {
      apiVersion,
      kind: "ClusterIssuer",
      metadata: { name: "self-signed" },
      spec: { selfSigned: {} },
    },
    opts,
  );
  const certificate = new CustomResource(
    `${name}-ca`,
    {
      apiVersion,
      kind: "Certificate",
      metadata: { name: FLEET_CA, namespace: NAMESPACES.fleet },
      spec: {
        isCA: true,
        commonName: `${fleet} fleet CA`,
        secretName: FLEET_CA,
        duration: `${CA_DAYS * 24}h`,
        renewBefore: `${CA_RENEW_DAYS * 24}h`,
        privateKey: { algorithm: "ECDSA", size: 256, rotationPolicy: "Always" },
        issuerRef: { group: "cert-manager.io", kind: "ClusterIssuer", name: "self-signed" },
      },
    },
    pulumi.mergeOptions(opts, { dependsOn: [selfSigned] }),
  );
  return new CustomResource(
    `${name}-issuer`,
    {
      apiVersion,
      kind: "Issuer",
      metadata: { name: FLEET_CA, namespace: NAMESPACES.fleet },
      spec: { ca: { secretName: FLEET_CA } },
    },
    pulumi.mergeOptions(opts, { dependsOn: [certificate] }),
  );
}
