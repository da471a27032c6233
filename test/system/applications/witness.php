<?php
// A witness as witness.py is: writes down each request as PHP tells it. The path of a request, as applications with a
// front controller find it: Symfony and Laravel decode REQUEST_URI, others take it apart as a URL, or use PATH_INFO.
$uri = $_SERVER['REQUEST_URI'] ?? '';
$line = json_encode([
	'method' => $_SERVER['REQUEST_METHOD'] ?? '',
	'scheme' => empty($_SERVER['HTTPS']) ? 'http' : 'https',
	'length' => strlen(file_get_contents('php://input')),
	'resolved' => array_values(array_filter([
		rawurldecode(strtok($uri, '?') ?: ''),
		rawurldecode(parse_url($uri, PHP_URL_PATH) ?: ''),
		$_SERVER['PATH_INFO'] ?? '',
	])),
	'variables' => array_filter($_SERVER, 'is_string'),
], JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES);
file_put_contents($_SERVER['ARGAND_RECORD'], $line . "\n", FILE_APPEND | LOCK_EX);
header('Content-Type: text/plain');
header('X-Witness: ' . ($_SERVER['HTTP_USER_AGENT'] ?? ''));
echo "seen\n";
