// Uploads a file with tus-js-client, unmodified, and aborts each request after so many octets as a seed says. Arguments:
// the module's directory, URL, file, protocol, seed. Says "done URL" at the end.
const fs = require("fs");
const [, , modules, endpoint, file, protocol, seedText] = process.argv;
const tus = require(require.resolve("tus-js-client", { paths: [modules] }));

let seed = Number(seedText);
function random() {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return seed / 2147483648;
}

let cuts = 12;
const size = fs.statSync(file).size;
// By the draft its source for streams never says that a part is the last one, unless it is the only one.
const input = protocol === "tus-v1" ? fs.createReadStream(file) : fs.readFileSync(file);
const upload = new tus.Upload(input, {
  endpoint, protocol, uploadSize: size, chunkSize: 300000,
  metadata: { filename: require("path").basename(file) },
  retryDelays: Array(200).fill(50),
  onShouldRetry: () => true,
  onProgress(sent) {
    if (cuts > 0 && random() < 0.2) {
      cuts--;
      upload.abort().then(() => setTimeout(() => upload.start(), 20));
    }
  },
  onError(e) { console.log("failed " + e); process.exit(1); },
  onSuccess() { console.log("done " + upload.url); process.exit(0); },
});
upload.start();
