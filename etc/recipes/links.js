/* Links for routes with signed_links; see argand.conf(5), SIGNED LINKS.
 *
 *     node links.js /etc/argand/links.key /files/a.iso 3600
 */
const { createHmac } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { basename } = require("node:path");

/* The URL's path and query. path is not encoded; segments: all below so many of its segments. */
function sign(secret, key, path, options = {}) {
    const { query = "", seconds = 3600, methods = "", segments = "", network = "", rate = "" } = options;
    const expires = Math.floor(Date.now() / 1000) + seconds;
    const front = `v1~${key}~${expires}~${methods}~${segments}~${network}~${rate}`;
    const signed = segments === "" ? path : "/" + path.split("/").slice(1, segments + 1).join("/");
    const text = `${front}\n${signed}\n${segments === "" ? query : ""}`;
    const mac = createHmac("sha256", secret).update(text).digest("base64url");
    const url = path.split("/").map(encodeURIComponent).join("/");
    return `${url}?${query === "" ? "" : query + "&"}link=${front}~${mac}`;
}

if (require.main === module) {
    const [file, path, seconds] = process.argv.slice(2);
    const secret = readFileSync(file, "utf8").replace(/[\r\n]+$/, "");
    console.log(sign(secret, basename(file).split(".")[0], path, { seconds: Number(seconds) }));
}

module.exports = { sign };
