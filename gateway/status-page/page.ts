import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { siblingEntry } from "../entry.ts";

/** A page that needs nothing else: one answer, no second file, no word of the fleet in it. */
export interface StatusPage {
  body: Buffer;
  headers: Readonly<Record<string, string>>;
}

let made: StatusPage | null = null;

/**
 * The page at `/status`. It is the same for everybody and asks this address for what it shows, with the admin token that
 * a person gives it. Only its own script and style are run, and it speaks to nobody else: both are in its policy by
 * their hash (https://www.w3.org/TR/CSP3/#grammardef-hash-source).
 */
export function statusPage(): StatusPage {
  made ??= build();
  return made;
}

function build(): StatusPage {
  const script = part("client.js", "status-page.js");
  const style = part("style.css", "status-page.css");
  const body = Buffer.from(html(script, style));
  return {
    body,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-length": String(body.length),
      "cache-control": "no-store",
      "content-security-policy": [
        "default-src 'none'",
        `script-src '${hash(script)}'`,
        `style-src '${hash(style)}'`,
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ].join("; "),
      // The token is in this page's memory: no page that opened it, or was opened by it, gets hold of that.
      "cross-origin-opener-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    },
  };
}

const part = (source: string, bundled: string): string =>
  readFileSync(siblingEntry(import.meta.url, source, bundled), "utf8");

const hash = (text: string): string =>
  `sha256-${createHash("sha256").update(text).digest("base64")}`;

// The fields have no name: a browser that sends the form without the script sends nothing.
const html = (script: string, style: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>Fleet</title>
<style>${style}</style>
</head>
<body>
<main>
<header>
<h1 id="fleet">Fleet</h1>
<p id="verdict" role="status"><noscript>This page needs JavaScript; <code>./fleet status</code> shows the same.</noscript></p>
<p id="age"></p>
</header>
<form id="ask" hidden>
<input type="text" value="fleet admin" autocomplete="username" hidden>
<label for="token">Admin token</label>
<div><input id="token" type="password" autocomplete="current-password" spellcheck="false" required><button>Show nodes and shards</button></div>
<p id="refused" role="alert"></p>
<p><code id="command">./fleet output adminToken --show-secrets</code> prints it. This page alone keeps it, and forgets it when it is reloaded.</p>
</form>
<div id="view" hidden></div>
</main>
<script>${script}</script>
</body>
</html>
`;
