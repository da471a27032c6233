// A witness as witness.py is, in Node: node witness.js PORT. It agrees to every change of protocol, and writes down
// what comes through the tunnel then. The path of a request, as applications find it: by URL (WHATWG), or decoded as it is.
'use strict';
const fs = require('fs');
const http = require('http');
const path = require('path');

const record = (what) => fs.appendFileSync(process.env.ARGAND_RECORD, JSON.stringify(what) + '\n');

function resolved(target) {
	const out = [];
	for (const find of [
		() => decodeURIComponent(new URL(target, 'http://localhost').pathname),
		() => path.posix.normalize(decodeURIComponent(target.split('?')[0])),
	]) {
		try { out.push(find()); } catch (e) { /* the application would answer 400 */ }
	}
	return out;
}

function pairs(raw) {
	const out = [];
	for (let i = 0; i < raw.length; i += 2) out.push([raw[i], raw[i + 1]]);
	return out;
}

function seen(req, length) {
	return { method: req.method, target: req.url, resolved: resolved(req.url), length,
		fields: pairs(req.rawHeaders), trailers: pairs(req.rawTrailers || []) };
}

const server = http.createServer((req, res) => {
	let length = 0;
	req.on('data', (d) => { length += d.length; });
	req.on('end', () => {
		record(seen(req, length));
		res.setHeader('X-Witness', req.headers['user-agent'] || '');
		res.end('seen\n');
	});
});

server.on('upgrade', (req, socket, head) => {
	record(seen(req, null));
	socket.on('error', () => {});
	socket.on('data', (d) => record({ tunnel: d.toString('latin1') }));
	socket.on('end', () => socket.end());
	socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n' +
		`Upgrade: ${req.headers.upgrade}\r\nX-Witness: ${req.headers['user-agent'] || ''}\r\n\r\n`);
	if (head.length) socket.emit('data', head);
});
server.keepAliveTimeout = 60000;
server.listen(Number(process.argv[2]), '127.0.0.1');
