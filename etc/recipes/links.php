<?php
/* Links for routes with signed_links; see argand.conf(5), SIGNED LINKS.
 *
 *     php links.php /etc/argand/links.key /files/a.iso 3600
 */

/* The URL's path and query. path is not encoded; segments: all below so many of its segments. */
function link_sign($secret, $key, $path, $query = '', $seconds = 3600, $methods = '', $segments = '',
    $network = '', $rate = '')
{
    $expires = time() + $seconds;
    $front = "v1~$key~$expires~$methods~$segments~$network~$rate";
    $signed = $segments === '' ? $path : '/' . implode('/', array_slice(explode('/', $path), 1, $segments));
    $text = "$front\n$signed\n" . ($segments === '' ? $query : '');
    $mac = hash_hmac('sha256', $text, $secret, true);
    $link = $front . '~' . rtrim(strtr(base64_encode($mac), '+/', '-_'), '=');
    $url = implode('/', array_map('rawurlencode', explode('/', $path)));
    return $url . '?' . ($query === '' ? '' : "$query&") . "link=$link";
}

if (realpath($argv[0] ?? '') === __FILE__) {
    $secret = rtrim(file_get_contents($argv[1]), "\r\n");
    $key = explode('.', basename($argv[1]))[0];
    echo link_sign($secret, $key, $argv[2], '', (int)$argv[3]), "\n";
}
