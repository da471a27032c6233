// A Node application: pages by HTTP, and a WebSocket (RFC 6455) that sends every message back.
// node server.js ADDRESS, a port of 127.0.0.1 or the path of a socket.
'use strict';
const crypto = require('crypto');
const http = require('http');

const server = http.createServer((req, res) => {
	const hash = crypto.createHash('sha256');
	let length = 0;
	req.on('data', (d) => { hash.update(d); length += d.length; });
	req.on('end', () => {
		if (req.url.endsWith('/early')) {
			res.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
		}
		res.setHeader('Content-Type', 'application/json');
		res.setHeader('Set-Cookie', ['a=1; Path=/', 'b=2; Path=/']);
		if (req.url.endsWith('/pieces')) {
			let n = 0;
			const timer = setInterval(() => {
				res.write(`piece ${n++}\n`);
				if (n === 10) { clearInterval(timer); res.end(); }
			}, 50);
			return;
		}
		res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers, length,
			sha256: hash.digest('hex') }));
	});
});

// One frame of the buffer: {opcode, data, used}, or null when it is not all there.
function parse(buf) {
	if (buf.length < 2) return null;
	let n = buf[1] & 127, at = 2;
	if (n === 126) {
		if (buf.length < 4) return null;
		n = buf.readUInt16BE(2);
		at = 4;
	} else if (n === 127) {
		if (buf.length < 10) return null;
		n = Number(buf.readBigUInt64BE(2));
		at = 10;
	}
	const mask = buf.subarray(at, at + 4);
	if (buf.length < at + 4 + n) return null;
	const data = Buffer.from(buf.subarray(at + 4, at + 4 + n));
	for (let i = 0; i < n; i++) data[i] ^= mask[i & 3];
	return { opcode: buf[0] & 15, data, used: at + 4 + n };
}

function frame(opcode, data) {
	let head;
	if (data.length < 126) {
		head = Buffer.from([0x80 | opcode, data.length]);
	} else if (data.length < 65536) {
		head = Buffer.from([0x80 | opcode, 126, data.length >> 8, data.length & 255]);
	} else {
		head = Buffer.alloc(10);
		head[0] = 0x80 | opcode;
		head[1] = 127;
		head.writeBigUInt64BE(BigInt(data.length), 2);
	}
	return Buffer.concat([head, data]);
}

server.on('upgrade', (req, socket, head) => {
	const accept = crypto.createHash('sha1')
		.update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
	let buf = head;
	socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
		`Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
	const take = () => {
		for (let f; (f = parse(buf)) !== null;) {
			buf = buf.subarray(f.used);
			if (f.opcode === 9) socket.write(frame(10, f.data));
			else if (f.opcode === 8) socket.end(frame(8, f.data));
			else socket.write(frame(f.opcode, f.data));
		}
	};
	socket.on('data', (d) => { buf = Buffer.concat([buf, d]); take(); });
	socket.on('end', () => socket.end());
	socket.on('error', () => {});
	take();
});
server.keepAliveTimeout = 60000;
server.listen(/^[0-9]+$/.test(process.argv[2]) ? Number(process.argv[2]) : process.argv[2]);
