import * as pulumi from "@pulumi/pulumi";

/** What the last `up` of this very stack wrote down, in its output `recorded`; nothing before the first. */
export async function ownRecord<T extends object>(): Promise<Partial<T>> {
  const name = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const { value } = await new pulumi.StackReference(name).getOutputDetails("recorded");
  return (value ?? {}) as Partial<T>;
}
