"""`Cursors`: where a listing goes on, in a form that says nothing to whoever is given it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from itertools import count, islice

_BLOCK = 64  # bytes; a text's length is told in steps of it
_TAG = 16
_LONGEST = 1 << 16  # characters


class Cursors:
    """Hides what a store says of where a page ends: of rows that others have written, it may be.

    What is hidden is a text, its digest by a key in front, the rest combined with a stream of bytes
    that key and digest give (a synthetic initialisation vector, as of RFC 5297). So a text that
    was not hidden by this key is known, and equal ones look alike, which tells nothing here.

    Args:
        secret: The key; processes that serve alike have the same.
        place: What is listed: cursors of another place are not taken.
    """

    def __init__(self, secret: bytes, place: str) -> None:
        whole = hashlib.blake2b(place.encode("utf-8", "surrogatepass"), key=secret).digest()
        self._key, self._stream_key = whole[:32], whole[32:]

    def hidden(self, text: str) -> str:
        """Write a text so that it can be sent."""
        plain = text.encode()
        plain = len(plain).to_bytes(4, "big") + plain
        plain += bytes(-len(plain) % _BLOCK)
        tag = self._tag(plain)
        return base64.urlsafe_b64encode(tag + self._combined(plain, tag)).decode("ascii")

    def shown(self, cursor: str) -> str:
        """Read what `hidden` has written.

        Raises:
            ValueError: It is none of ours.
        """
        if len(cursor) > _LONGEST:
            raise ValueError("no cursor")
        try:
            data = base64.b64decode(cursor, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("no cursor") from None
        tag, plain = data[:_TAG], self._combined(data[_TAG:], data[:_TAG])
        if not hmac.compare_digest(tag, self._tag(plain)):
            raise ValueError("no cursor of ours")
        return plain[4 : 4 + int.from_bytes(plain[:4], "big")].decode()

    def _tag(self, plain: bytes) -> bytes:
        return hashlib.blake2b(plain, key=self._key, digest_size=_TAG).digest()

    def _combined(self, data: bytes, tag: bytes) -> bytes:
        blocks = (
            hashlib.blake2b(tag + number.to_bytes(8, "big"), key=self._stream_key).digest()
            for number in count()
        )
        stream = b"".join(islice(blocks, -(-len(data) // _BLOCK)))[: len(data)]
        mixed = int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")
        return mixed.to_bytes(len(data), "big")
