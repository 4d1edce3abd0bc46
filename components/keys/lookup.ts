import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import { SERVICE_ROLES, type ServiceRole } from "./catalog.ts";

/** Which of the roles that a key may have to name the account has. */
export async function lookUpServiceRoles(opts: pulumi.InvokeOptions): Promise<ServiceRole[]> {
  const names = Object.keys(SERVICE_ROLES) as ServiceRole[];
  const found = await Promise.all(
    names.map(async (name) => {
      const { service, role } = SERVICE_ROLES[name];
      const roles = await aws.iam.getRoles(
        { pathPrefix: `/aws-service-role/${service}/`, nameRegex: `^${role}$` },
        opts,
      );
      return roles.arns.length > 0 ? [name] : [];
    }),
  );
  return found.flat();
}
