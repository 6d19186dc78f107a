"""Who may ask a server: programs on its own machine, or whoever brings its token."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import suppress


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach it.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("::1")
    (True, True, False, True)
    """
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def at_fault(error: OSError) -> str:
    """The option that names what cannot be listened at: an address that is none of this machine's, or its port.

    >>> at_fault(socket.gaierror(-2, "Name or service not known")), at_fault(OSError(errno.EADDRINUSE, "in use"))
    ('--host, an address of this machine', '--port')
    """
    elsewhere = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
    return "--host, an address of this machine" if elsewhere else "--port"


def checked_token(token: str) -> str:
    """The token, if nobody will guess it and every request can bring it.

    Raises:
        ValueError: it is too short, or holds spaces or letters outside ASCII.
    """
    if len(token) < 8 or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("a token has 8 characters or more, all of ASCII and no spaces")
    return token
