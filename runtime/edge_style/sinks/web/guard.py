"""Who may look and who may control.

- On a loopback address no token is needed: who can reach it is on this computer. Any other address
  needs one, which travels in the first address, then in a cookie that no other site's pages send.
- Pages of other sites cannot control anything, nor look: browsers say where a request comes from
  (`Sec-Fetch-Site`, `Origin`), and a command needs a header that a foreign page may not set without
  asking first, which is never granted.
- A foreign name that was made to point to this computer (DNS rebinding) is refused by its `Host`.
"""

import hashlib
import hmac
import ipaddress
import secrets
from email.message import Message
from urllib.parse import urlsplit

COMMAND_HEADER = "X-Edge-Style"
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Decides on requests.

    Args:
        host: the address that is listened on.
        token: what viewers must know; None: made up where one is needed.
    """

    def __init__(self, host: str, token: str | None) -> None:
        self.is_loopback = _is_loopback(host)
        self.token = token or (None if self.is_loopback else secrets.token_urlsafe(16))
        # Goes into the cookie: a token may hold characters that a cookie may not.
        self.cookie = hashlib.sha256((self.token or "").encode()).hexdigest()
        self._names = _LOOPBACK_NAMES | {host.lower()}

    def refusal(self, headers: Message, *, is_page: bool) -> str | None:
        """Why a request is refused whoever sends it; None if it is not.

        Args:
            headers: of the request.
            is_page: the page itself is asked for, to which other sites may link.
        """
        host = headers.get("Host", "")
        if self.is_loopback and _name_of(host) not in self._names:
            return "this name is not known here"
        origin = headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "pages of other sites may not do this"
        site = headers.get("Sec-Fetch-Site", "none")
        navigates = is_page and headers.get("Sec-Fetch-Mode") == "navigate"
        if site not in ("same-origin", "none") and not navigates:
            return "pages of other sites may not do this"
        return None

    def knows(self, headers: Message, query_token: str | None, cookie: str) -> bool:
        """Whether whoever asks has the token, or needs none."""
        if self.token is None:
            return True
        given = [query_token, _bearer(headers)]
        if any(_same(text, self.token) for text in given if text):
            return True
        return _same(_cookie(headers, cookie) or "", self.cookie)


def _same(one: str, other: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(one.encode(), other.encode())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _name_of(host: str) -> str:
    """`Host` without its port: a name, or an address without brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _bearer(headers: Message) -> str | None:
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _cookie(headers: Message, name: str) -> str | None:
    # By hand, since Python's own parser gives up at the first cookie that it dislikes, and other
    # programs of this host, whose cookies come along, write what they like.
    for pair in headers.get("Cookie", "").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value.strip('"')
    return None
