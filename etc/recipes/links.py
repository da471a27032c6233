"""Links for routes with signed_links; see argand.conf(5), SIGNED LINKS.

    python3 links.py /etc/argand/links.key /files/a.iso 3600
"""
import base64
import hashlib
import hmac
import os
import sys
import time
from urllib.parse import quote


def sign(secret, key, path, query="", seconds=3600, methods="", segments="", network="", rate=""):
    """The URL's path and query. path is not encoded; segments: all below so many of its segments."""
    front = f"v1~{key}~{int(time.time()) + seconds}~{methods}~{segments}~{network}~{rate}"
    signed = path if segments == "" else "/" + "/".join(path.split("/")[1:segments + 1])
    text = f"{front}\n{signed}\n{query if segments == '' else ''}"
    mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    link = f"{front}~{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    return quote(path) + "?" + (query + "&" if query else "") + "link=" + link


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as f:
        secret = f.read().rstrip(b"\r\n")
    key = os.path.basename(sys.argv[1]).split(".")[0]
    print(sign(secret, key, sys.argv[2], seconds=int(sys.argv[3])))
