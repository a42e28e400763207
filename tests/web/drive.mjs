// Opens the page in Chromium, once from an origin on the server's list and once from another.
// Arguments: folder of the page, Chromium, the server's URL, the file with the key, the two ports.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import assert from "node:assert/strict";
import puppeteer from "puppeteer-core";

const [folder, chromium, url, keyFile, allowedPort, otherPort] = process.argv.slice(2);
const key = (await readFile(keyFile, "utf8")).trim();
const script = await readFile(`${folder}/page.js`);

function serve(port) {
  const server = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : '<!doctype html><script src="/page.js"></script>');
  });
  return new Promise((resolve) => server.listen(Number(port), "127.0.0.1", () => resolve(server)));
}

const servers = await Promise.all([serve(allowedPort), serve(otherPort)]);
const browser = await puppeteer.launch({
  executablePath: chromium,
  // Root cannot have Chromium's sandbox, and the pages are the test's own.
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
try {
  const ask = async (port) => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${port}/`);
    return page.evaluate((settings) => globalThis.ask(settings), { url, key });
  };
  const allowed = await ask(allowedPort);
  assert.deepEqual(allowed, {
    anonymous: "Unauthenticated CREDENTIAL_MISSING",
    decision: "ALLOW",
    account: "accounts/platform",
    missing: "NotFound RESOURCE_NOT_FOUND",
    invalid: "InvalidArgument INVALID_FIELDS",
  });
  const other = await ask(otherPort);
  assert.match(other.anonymous, /^(Unknown|Unavailable) no reason$/, "the browser keeps the answer from the page");
  console.log(`${await browser.version()}: ${JSON.stringify(allowed)}; another origin: ${other.anonymous}`);
} finally {
  await browser.close();
  servers.forEach((server) => server.close());
}
