import { typingOf } from "../typings.ts";
import type { Made, Rules } from "./types.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

function text(made: Made, length: number): string {
  const digits = Array.from({ length: Math.ceil(length / 16) }, () => made.hex(64)).join("");
  return Array.from(
    { length },
    (_, i) => ALPHABET[(Number.parseInt(digits.slice(i, i + 2), 16) + i * 7) % ALPHABET.length],
  ).join("");
}

/** Every input of a type. */
const all = (type: string) => [...(typingOf(type)?.inputs.keys() ?? [])];

/** pulumi-random: any change of an input makes a new value. */
export const RANDOM: Rules = {
  "random:index/randomPassword:RandomPassword": {
    source: "hashicorp/terraform-provider-random internal/provider/resource_password.go",
    id: () => "none",
    replaces: all("random:index/randomPassword:RandomPassword"),
    computed: (made) => {
      const result = text(made, Number(made.inputs.length));
      return { result, bcryptHash: `hash-${made.hex(20)}` };
    },
  },
  "random:index/randomString:RandomString": {
    source: "hashicorp/terraform-provider-random internal/provider/resource_string.go",
    id: (made) => text(made, Number(made.inputs.length)),
    replaces: all("random:index/randomString:RandomString"),
    computed: (_, id) => ({ result: id }),
  },
  "random:index/randomBytes:RandomBytes": {
    source: "hashicorp/terraform-provider-random internal/provider/resource_bytes.go",
    id: () => "none",
    replaces: all("random:index/randomBytes:RandomBytes"),
    computed: (made) => {
      const hex = made.hex(Number(made.inputs.length) * 2);
      return { hex, base64: Buffer.from(hex, "hex").toString("base64") };
    },
  },
  "random:index/randomId:RandomId": {
    source: "hashicorp/terraform-provider-random internal/provider/resource_id.go",
    id: (made) => made.hex(Number(made.inputs.byteLength) * 2),
    replaces: all("random:index/randomId:RandomId"),
    computed: (made, id) => ({
      hex: `${made.inputs.prefix ?? ""}${id}`,
      dec: "1",
      b64Std: id,
      b64Url: id,
    }),
  },
  "random:index/randomUuid:RandomUuid": {
    source: "hashicorp/terraform-provider-random internal/provider/resource_uuid.go",
    id: (made) => `${made.hex(8)}-${made.hex(4)}-4000-8000-${made.hex(12)}`,
    replaces: all("random:index/randomUuid:RandomUuid"),
    computed: (_, id) => ({ result: id }),
  },
};
