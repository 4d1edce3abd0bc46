import { describe, expect, test } from "vitest";
import { networkSettings } from "../../../components/network/settings.ts";

const ADOPT = {
  vpcId: "vpc-0123456789abcdef0",
  publicSubnetIds: ["subnet-00000001", "subnet-00000002"],
  privateSubnetIds: ["subnet-00000003", "subnet-00000004"],
  dataSubnetIds: ["subnet-00000005", "subnet-00000006"],
};
const paths = (value: unknown) =>
  (networkSettings.safeParse(value).error?.issues ?? []).map(({ path }) => path.join("."));

describe("network settings", () => {
  test("may be left out as a whole", () => {
    expect(networkSettings.parse({})).toEqual({ otherCidrs: [] });
  });

  test.each([
    [{ cird: "10.0.0.0/16" }, ""],
    [{ natGateways: "two" }, "natGateways"],
    [{ zones: 4 }, "zones"],
    [{ interfaceEndpoints: ["s3"] }, "interfaceEndpoints.0"],
    [{ adopt: { ...ADOPT, vpcId: "prod" } }, "adopt.vpcId"],
    [{ adopt: { ...ADOPT, dataSubnetIds: ["subnet-00000005"] } }, "adopt.dataSubnetIds"],
  ])("refuse %j", (value, path) => {
    expect(paths(value)).toEqual([path]);
  });

  test("say which of them mean nothing for an adopted VPC, all at once", () => {
    const own = { cidr: "10.0.0.0/16", flowLogs: false, natGateways: "one" };
    expect(paths({ ...own, adopt: ADOPT })).toEqual(["cidr", "natGateways", "flowLogs"]);
    expect(paths({ otherCidrs: ["10.0.0.0/8"], adopt: ADOPT })).toEqual([]);
  });
});
