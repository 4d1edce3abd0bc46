import { describe, expect, test } from "vitest";
import { carriesFleet, targetOf } from "../../../cli/lib/fleet-place.ts";

const HOSTS = [
  {
    name: "a",
    address: "10.64.0.10",
    user: "ubuntu",
    session: { instanceId: "i-0123456789abcdef0", region: "eu-central-1" },
    hostKey: "ssh-ed25519 AAAA",
  },
];

describe("a stack has a fleet to talk to", () => {
  test.each([
    ["local", {}, true],
    ["hosts", {}, true],
    ["ec2", { endpoint: "https://chat.example.com", hosts: HOSTS }, true],
    // Made by a version without a runtime, or with lower layers alone.
    ["ec2", { endpoint: "https://chat.example.com", token: "t", compute: { hosts: [{}] } }, false],
    ["ec2", { base: {}, data: {}, hosts: [] }, false],
    ["ec2", {}, false],
    ["eks", { endpoint: "https://chat.example.com", hosts: HOSTS }, false],
  ])("target %s, outputs %j: %s", (target, outputs, carries) => {
    expect(carriesFleet(target, outputs)).toBe(carries);
  });
});

test("the target is what the stack's file says, and this machine where it says none", () => {
  expect(["prod", "staging", "vps", "nowhere"].map(targetOf)).toEqual([
    "eks",
    "ec2",
    "hosts",
    "local",
  ]);
});
